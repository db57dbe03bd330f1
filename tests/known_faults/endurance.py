"""Random interruptions of one process for some seconds, and checks for anything left behind.

    python -m tests.known_faults.endurance KIND SECONDS URL PREFIX

It is run as a script, since greenlets need the standard library to be replaced before anything is
imported. It prints only complaints, one per line. The number of interruptions goes to standard
error.
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
RENEWED = 2.0  # the lease of a hold that depends on its renewals, on a machine under load
NAMES = 5
WORKERS = 8


def work() -> None:
    """Take, extend and release locks, some after a wait."""
    from django_redislock import LockError, lock

    with contextlib.suppress(LockError):
        with lock(f"{random.randrange(NAMES)}", lease=LEASE, wait=0.05) as held:
            if random.random() < 0.2:
                held.extend()


def by_signals(seconds: float) -> int:
    """Interrupt by signals, and return how many interruptions there were."""
    interruptions = 0

    def interrupt(*_: object) -> None:
        nonlocal interruptions
        interruptions += 1
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
    return interruptions


def from_outside(seconds: float) -> int:
    """Interrupt by exceptions set in other threads, as dramatiq's time limits do."""
    deadline = time.monotonic() + seconds

    def run() -> None:
        while time.monotonic() < deadline:
            with contextlib.suppress(Interruption):
                while time.monotonic() < deadline:
                    work()

    def run_to_the_end() -> None:
        with contextlib.suppress(Interruption):
            run()

    def begun() -> threading.Thread:
        thread = threading.Thread(target=run_to_the_end, daemon=True)
        thread.start()
        return thread

    interruptions = 0
    threads = [begun() for _ in range(WORKERS)]
    error = ctypes.py_object(Interruption)
    while time.monotonic() < deadline:
        time.sleep(random.uniform(0, 0.002))
        place = random.randrange(WORKERS)
        if not threads[place].is_alive():  # it was interrupted twice in a row
            threads[place] = begun()
        target = ctypes.c_ulong(threads[place].ident or 0)
        interruptions += ctypes.pythonapi.PyThreadState_SetAsyncExc(target, error)
    for thread in threads:
        thread.join(5)
    return interruptions


def in_greenlets(seconds: float) -> int:
    import gevent

    deadline, interruptions = time.monotonic() + seconds, 0

    def run() -> None:
        nonlocal interruptions
        while time.monotonic() < deadline:
            try:
                with gevent.Timeout(random.uniform(0, 0.03)):
                    work()
            except gevent.Timeout:
                interruptions += 1

    gevent.joinall([gevent.spawn(run) for _ in range(20)], timeout=seconds + 10)
    return interruptions


KINDS = {"signals": by_signals, "threads": from_outside, "gevent": in_greenlets}


def complaints(witness: Witness) -> list[str]:
    """List what is left, or does not work any more, a lease and a second afterwards."""
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
    """Interrupt for some seconds, and then check."""
    import faulthandler

    faulthandler.dump_traceback_later(seconds + 40, exit=True)
    django.setup()
    from tests.known_faults.sweeps import begin
    from tests.support.places import Place

    # An interruption during an import may keep Python's import lock for ever, so import first.
    witness = begin(Place(url, prefix).pool(max_connections=10)).teach()
    interruptions = KINDS[kind](seconds)
    sys.stderr.write(f"{interruptions} interruptions\n")
    for line in complaints(witness):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4])
