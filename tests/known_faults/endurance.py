"""Random interruptions of one process for some seconds, and what is left of them afterwards.

    python -m tests.known_faults.endurance KIND SECONDS URL PREFIX

It is run as a script, since greenlets need the standard library to be replaced before anything is
imported. It prints what is wrong, one complaint a line, and nothing else.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and sys.argv[1] == "gevent":
    from gevent import monkey

    monkey.patch_all()

import contextlib
import ctypes
import random
import signal
import threading
import time
from typing import TYPE_CHECKING

import django

from tests.support.interruptions import Interruption

if TYPE_CHECKING:
    from tests.known_faults.witness import Witness

LEASE = 0.6
RENEWED = 2.0  # the lease of what has to live by its renewals, on a machine under load
NAMES = 5
WORKERS = 8


def work() -> None:
    """Take, extend and release locks, some after a wait."""
    from django_redislock import LockError, lock

    with contextlib.suppress(LockError):
        with lock(f"{random.randrange(NAMES)}", lease=LEASE, wait=0.05) as held:
            if random.random() < 0.2:
                held.extend()


def by_signals(seconds: float) -> None:
    def interrupt(*_: object) -> None:
        raise Interruption

    signal.signal(signal.SIGALRM, interrupt)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(Interruption):
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 3e-3))
                for _ in range(10):
                    work()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)


def from_outside(seconds: float) -> None:
    """As dramatiq's time limits do: exceptions are set in other threads."""
    deadline = time.monotonic() + seconds

    def run() -> None:
        while time.monotonic() < deadline:
            with contextlib.suppress(Interruption):
                while time.monotonic() < deadline:
                    work()

    def run_to_the_end() -> None:
        with contextlib.suppress(Interruption):
            run()

    threads = [threading.Thread(target=run_to_the_end, daemon=True) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    error = ctypes.py_object(Interruption)
    while time.monotonic() < deadline:
        time.sleep(random.uniform(0, 0.002))
        target = random.choice(threads)
        if target.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(target.ident or 0), error)
    for thread in threads:
        thread.join(5)


def in_greenlets(seconds: float) -> None:
    import gevent

    deadline = time.monotonic() + seconds

    def run() -> None:
        while time.monotonic() < deadline:
            with contextlib.suppress(gevent.Timeout):
                with gevent.Timeout(random.uniform(0, 0.03)):
                    work()

    gevent.joinall([gevent.spawn(run) for _ in range(20)], timeout=seconds + 10)


KINDS = {"signals": by_signals, "threads": from_outside, "gevent": in_greenlets}


def complaints(witness: Witness) -> list[str]:
    """What is left, and what does not work any more, a lease and a second afterwards."""
    from django_redislock import LockError, lock

    time.sleep(LEASE + 1.5)
    wrong = [f"{name} is held" for name in sorted(witness.names())]
    held = []
    for name in map(str, range(NAMES)):
        handle = lock(name, lease=RENEWED)
        try:
            if handle.acquire(wait=3):
                held.append(handle)
            else:
                wrong.append(f"{name} cannot be taken")
        except (LockError, RuntimeError) as error:
            wrong.append(f"{name}: {error!r}")
    time.sleep(RENEWED * 1.5)
    for handle in held:
        try:
            handle.release()
        except (LockError, RuntimeError) as error:
            wrong.append(f"{handle.name}: {error!r}")
    return wrong


def main(kind: str, seconds: float, url: str, prefix: str) -> None:
    """Interrupt for some seconds; look afterwards."""
    import faulthandler

    faulthandler.dump_traceback_later(seconds + 40, exit=True)
    django.setup()
    from tests.known_faults.sweeps import begin
    from tests.support.places import Place

    # Whatever is interrupted while it imports a module may keep Python's import lock for ever.
    witness = begin(Place(url, prefix).pool(max_connections=10)).teach()
    KINDS[kind](seconds)
    for line in complaints(witness):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4])
