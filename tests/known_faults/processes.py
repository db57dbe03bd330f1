"""Jobs of the processes of these tests."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
from typing import Any

from django.test import override_settings

from django_redislock import LockError, LockLost, lock
from tests.known_faults.sweeps import alive, begin
from tests.known_faults.witness import ALIAS, Witness, give_up, in_thread
from tests.support.interruptions import (
    Interruption,
    handle_signal,
    interrupt,
    places_in,
)
from tests.support.places import MEMORY, Place
from tests.support.processes import wait_until
from tests.support.threads import no_thread_can_start

FOR_EVER = 600.0
MANY = 600
RENEWED = 2.0  # the lease of a hold that depends on its renewals, on a machine under load


# No thread can be started.


def act_without_threads(place: Place, kind: str) -> tuple[str, list[str], list[str]]:
    """Acquire when no thread can start; return the result, own holds, and waiters."""
    witness = begin(place)  # which starts no thread
    alive()
    holder = witness.lock("a", lease=FOR_EVER, renew=False)
    if kind.startswith("waiting"):
        holder.acquire()
    handle = lock("a", lease=FOR_EVER)
    with no_thread_can_start():
        try:
            if kind.endswith("task"):
                got = asyncio.run(handle.aacquire(wait=1))
            else:
                got = handle.acquire(wait=1)
            said = str(got)
        except LockError:
            said = "LockError"
        except RuntimeError as error:
            said = f"RuntimeError: {error}"
        mine = [token for token in witness.tokens("a") if token != holder.token]
        queued = witness.queue("a")
        if handle.held:
            handle.release()
            mine = [token for token in witness.tokens("a") if token != holder.token]
    give_up(holder)
    return said, mine, queued


# A thread of ours starts.


@contextlib.contextmanager
def interrupted_start(number: int) -> Any:
    """Interrupt the start of thread number `number` of the block as soon as it runs."""
    started = [0]
    kept = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        kept(thread)
        started[0] += 1
        if started[0] == number + 1:
            raise Interruption("while a thread started")

    threading.Thread.start = start  # type: ignore[method-assign]
    try:
        yield started
    finally:
        threading.Thread.start = kept  # type: ignore[method-assign]


def wait_after_an_interrupted_start(place: Place, number: int) -> dict[str, Any]:
    """Interrupt the start of a thread within a waiting acquire; then wait for hand-overs."""
    witness = begin(place).teach()
    alive()
    wrong: list[str] = []
    listening = 0
    with witness.lock("first", lease=60):
        with interrupted_start(number), contextlib.suppress(Interruption):
            lock("first").acquire(wait=0.5)
    for name in map(str, range(20)):
        got: list[bool] = []
        holder, waiter = witness.lock(name, lease=60), lock(name, lease=60)
        holder.acquire()
        thread = in_thread(lambda w=waiter, g=got: g.append(w.acquire(wait=5)))
        witness.wait_until_queued(name)
        listening = max(listening, _listening(place))
        give_up(holder)
        thread.join()
        time.sleep(0.02)  # a turn that arrives twice would be given back the second time
        if got != [True] or witness.tokens(name) != [waiter.token]:
            wrong.append(f"{name}: {got}, and it is held: {bool(witness.tokens(name))}")
        give_up(waiter)
    faulthandler.cancel_dump_traceback_later()
    return {"wrong": wrong, "listening": listening}


def _listening(place: Place) -> int:
    """The number of wake-up connections of this process, without those of its witness."""
    with place.client() as client:
        return sum(one["name"] != ALIAS for one in client.client_list(_type="pubsub"))


# The end of the process.


def hold_until_the_end(place: Place, checked: Any, ends_by: str) -> None:
    """Hold in a daemon thread that runs until the process is gone.

    `checked` gets the time of each successful check, on the clock that all processes share.
    """
    begin(place).teach()

    def work() -> None:
        held = lock("a", lease=30)
        held.acquire()
        # These make the end of the process take a while, so that other processes can look.
        others = [lock(f"{number}", lease=30) for number in range(MANY)]
        for one in others:
            one.acquire()
        while True:
            held.check()
            checked.value = time.monotonic()
            time.sleep(0.001)

    def work_and_end() -> None:
        with contextlib.suppress(LockLost):
            work()

    in_thread(work_and_end)
    with lock("main", lease=30):
        wait_until(lambda: checked.value)
        if ends_by == "SIGTERM":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            os.kill(os.getpid(), signal.SIGTERM)
    # When its function has returned, a worker exits like any process, with its exit handlers.


# A signal handler that takes a lock.


def take_locks_in_a_handler(place: Place, kind: str) -> list[str]:
    """Run a signal handler that takes a lock at each place of a caller."""
    witness = begin(place).teach()
    wrong: list[str] = []

    def enter_and_leave() -> None:
        with lock("a", lease=60):
            pass

    def wait_in_vain() -> None:
        lock("busy", lease=60).acquire(wait=0.02)

    def extend() -> None:
        with lock("e", lease=60) as held:
            held.extend()

    def handler() -> None:
        with lock("of the handler", lease=60, wait=0) as held:
            held.extend()
        lock("busy", lease=60).acquire(wait=0.001)

    operation = {"with": enter_and_leave, "wait": wait_in_vain, "extend": extend}[kind]
    alive()
    busy = witness.lock("busy", lease=60)
    busy.acquire()
    operation()
    handler()
    for at in range(0, places_in(operation), 1 if kind == "with" else 3):
        alive()
        try:
            handle_signal(operation, handler, at=at)
        except LockError as error:
            wrong.append(f"place {at}: {error!r}")
    busy.release()
    faulthandler.cancel_dump_traceback_later()
    return wrong


# Permits.


def lose_permits(place: Place, rounds: int) -> list[str]:
    """Interrupt callers again and again at the limit of connections in use."""
    begin(place).teach()
    alive()

    def enter_and_leave() -> None:
        # Interrupted at the first bytecode of __exit__, the hold lasts for its lease.
        with lock("a", lease=1):
            pass

    enter_and_leave()
    number = places_in(enter_and_leave)
    wrong: set[str] = set()
    for _ in range(rounds):
        for at in range(0, number, 2):
            alive()
            try:
                interrupt(enter_and_leave, at=at)
            except LockError:
                continue
            except RuntimeError as error:
                wrong.add(str(error))
    faulthandler.cancel_dump_traceback_later()
    return sorted(wrong)


# Frozen time.


def live_in_frozen_time(place: Place, freeze: str, using: str) -> list[str]:
    """Wait, hold, renew and lose while time is frozen, or travels."""
    both = Witness.settings(place)
    both["LOCKS"]["memory"] = {"BACKEND": MEMORY}
    override_settings(**both).enable()
    alive()
    wrong = []
    with _frozen(freeze) as travel:
        held = lock("a", using=using, lease=RENEWED)
        held.acquire()
        travel(3600)
        if not 0 < held.remaining() <= RENEWED:
            wrong.append(f"{held.remaining()} s remain")
        if lock("a", using=using).acquire(wait=0.1):
            wrong.append("two hold it")
        alive()
        if held.lost.wait(1.5 * RENEWED) or not held.held:
            wrong.append(f"it is lost: {held.lost.reason}")
        travel(3600)
        held.extend()
        if not held.owned():
            wrong.append("the backend does not know of the hold any more")
        give_up(held)
        lapsing = lock("b", using=using, lease=0.2, renew=False)
        lapsing.acquire()
        if not lapsing.lost.wait(5):
            wrong.append("a lease that lapsed is not noticed")
        alive()
        if not lock("b", using=using).acquire(wait=5):
            wrong.append("what lapsed is not free")
    faulthandler.cancel_dump_traceback_later()
    return wrong


@contextlib.contextmanager
def _frozen(freeze: str) -> Any:
    if freeze == "freezegun":
        import freezegun

        with freezegun.freeze_time("2026-01-01") as frozen:
            yield frozen.tick
    else:
        import time_machine

        with time_machine.travel("2026-01-01", tick=False) as traveller:
            yield traveller.shift
