"""Sweeps of interruptions over the operations of a caller, each in its own process.

Each sweep returns the violations that it has found afterwards. A process that hangs for longer than
STILL seconds prints its stacks and ends.
"""

from __future__ import annotations

import asyncio
import faulthandler
import threading
import time
import traceback
from collections.abc import Callable

from django.test import override_settings

from django_redislock import Lock, LockError, lock
from tests.known_faults.witness import Witness, give_up, in_thread
from tests.support.interruptions import PACKAGE, Interruption, interrupt, places_in
from tests.support.places import Place

STILL = 8.0
LEASE = 2.0
QUEUED_WITHIN = 0.3  # an interrupted attempt may never queue
# A lease and a second, and some time for a machine under load to notice.
AFTERWARDS = LEASE + 1.0 + 0.5


def begin(place: Place) -> Witness:
    """Keep the locks of this process at the place, and return a witness of them."""
    override_settings(**Witness.settings(place)).enable()
    return Witness()


def alive() -> None:
    """End the process if it hangs for longer than STILL from now on."""
    faulthandler.dump_traceback_later(STILL, exit=True)


def made(name: str) -> Lock:
    return lock(name, lease=LEASE, wait=5)


def enter_and_leave(handle: Lock) -> None:
    with handle:
        pass


def acquired(name: str) -> Lock:
    handle = made(name)
    handle.acquire()
    return handle


def acquiring(name: str) -> tuple[Lock, Callable[[], object]]:
    handle = made(name)
    return handle, handle.acquire


def releasing(name: str) -> tuple[Lock, Callable[[], object]]:
    handle = acquired(name)
    return handle, handle.release


def extending(name: str) -> tuple[Lock, Callable[[], object]]:
    handle = acquired(name)
    return handle, handle.extend


def with_block(name: str) -> tuple[Lock, Callable[[], object]]:
    handle = made(name)
    return handle, lambda: enter_and_leave(handle)


def async_with_block(name: str) -> tuple[Lock, Callable[[], object]]:
    async def enter_and_leave_in_a_task() -> None:
        async with handle:
            pass

    handle = made(name)
    return handle, lambda: asyncio.run(enter_and_leave_in_a_task())


def waiting_in_vain(name: str) -> tuple[Lock, Callable[[], object]]:
    held, handle = Witness().lock(name, lease=LEASE, renew=False), made(name)
    held.acquire()
    held.detach()
    return handle, lambda: handle.acquire(wait=0.02)


def waiting(name: str) -> tuple[Lock, Callable[[], object]]:
    """Wait for a name that is handed over once it has a waiter."""
    witness = Witness()
    held, handle = witness.lock(name, lease=LEASE, renew=False), made(name)
    held.acquire()

    def hand_over() -> None:
        deadline = time.monotonic() + QUEUED_WITHIN
        while not witness.queue(name) and time.monotonic() < deadline:
            time.sleep(0.001)
        give_up(held)

    def wait() -> None:
        handing_over = in_thread(hand_over)
        try:
            handle.acquire(wait=5)
        finally:
            handing_over.join()

    return handle, wait


OPERATIONS = {
    one.__name__: one
    for one in (
        acquiring, releasing, extending, with_block, async_with_block, waiting_in_vain, waiting,
    )
}  # fmt: skip


def sweep(place: Place, operation: str, every: int, second: int | None) -> list[str]:
    """Interrupt an operation at each of its places; afterwards nothing may be left of it.

    The interrupted caller releases its handle if that says held, and keeps the traceback.
    `every`: the step from one place to the next. `second`: interrupt again that many places later.
    """
    witness = begin(place)
    prepare = OPERATIONS[operation]
    # An event loop that is itself interrupted may never end.
    inside = PACKAGE if operation.startswith("async") else ""
    alive()
    for warm in ("warm", "warmer"):
        handle, act = prepare(warm)
        number = places_in(act, inside=inside)
        give_up(handle)
    kept: list[tuple[Lock, Interruption | None]] = []
    wrong: list[str] = []
    for at in range(0, number, every):
        alive()
        handle, act = prepare(f"{at}")
        kept.append((handle, interrupt(act, at=at, again_after=second, inside=inside)))
        if handle.held:
            try:
                handle.release()
            except LockError as error:
                wrong.append(f"place {at}: it says held, and cannot be released: {error!r}")
    wrong += left_over(witness, kept)
    return wrong + no_longer_works(witness)


def left_over(witness: Witness, kept: list[tuple[Lock, Interruption | None]]) -> list[str]:
    """List names that are held or queued after a lease and a second."""
    alive()
    time.sleep(AFTERWARDS)
    return [
        f"{handle.name}: {'held' if witness.holds(handle.name) else 'queued'} after {where(error)}"
        for handle, error in kept
        if witness.holds(handle.name) or witness.queue(handle.name)
    ]


def where(error: Interruption | None) -> str:
    """The innermost function of the caller in which it was interrupted."""
    entries = traceback.extract_tb(error.__traceback__) if error is not None else []
    inner = [entry for entry in entries if "/tests/support/" not in entry.filename]
    if not inner:
        return "an interruption that did not come out"
    return f"{inner[-1].filename.rpartition('/')[2]}:{inner[-1].lineno} {inner[-1].name}"


def no_longer_works(witness: Witness) -> list[str]:
    """List failures of this process to acquire, renew, wait and release afterwards."""
    alive()
    held = [made(f"after {number}") for number in range(2)]
    wrong = [
        f"{one.name}: an acquire does not report the truth"
        for one in held
        if not one.acquire(wait=0) or witness.tokens(one.name) != [one.token]
    ]
    time.sleep(AFTERWARDS)
    wrong += [f"{one.name} is not renewed" for one in held if not witness.tokens(one.name)]
    for handle in held:
        got = threading.Event()
        waiter = made(handle.name)
        thread = in_thread(lambda waiter=waiter, got=got: waiter.acquire(wait=5) and got.set())
        witness.wait_until_queued(handle.name)
        give_up(handle)
        if not got.wait(4):
            wrong.append(f"{handle.name} is not handed over")
        thread.join()
        give_up(waiter)
        if witness.tokens(handle.name):
            wrong.append(f"{handle.name} is held yet after its release")
    faulthandler.cancel_dump_traceback_later()
    return wrong


def take_again(place: Place) -> list[str]:
    """Interrupt a release at each of its places; the next acquire must report the truth."""
    witness = begin(place)
    alive()
    for warm in ("warm", "warmer"):
        _, release = releasing(warm)
        number = places_in(release)
    wrong, kept = [], []
    for at in range(number):
        alive()
        handle, release = releasing(f"{at}")
        error = interrupt(release, at=at)
        again = made(handle.name)
        if again.acquire(wait=0) and again.token not in witness.tokens(handle.name):
            wrong.append(f"place {at}: it says held, and is not, after {where(error)}")
        kept += [handle, again]
        give_up(again)
        give_up(handle)
    return wrong


def cancel(place: Place, operation: str) -> list[str]:
    """Cancel a task after each number of turns of its loop."""
    witness = begin(place)
    kept: list[tuple[Lock, Interruption | None]] = []
    alive()
    for turns in range(120):
        handle = made(f"{turns}")
        ended = asyncio.run(_cancelled(handle, operation, turns))
        kept.append((handle, None))
        if handle.held:
            handle.release()
        if ended:
            break
    return left_over(witness, kept) + no_longer_works(witness)


async def _cancelled(handle: Lock, operation: str, turns: int) -> bool:
    async def enter_and_leave() -> None:
        async with handle:
            pass

    if operation == "arelease":
        await handle.aacquire()
    verb = enter_and_leave if operation == "with" else getattr(handle, operation)
    task = asyncio.ensure_future(verb())
    for _ in range(turns):
        await asyncio.sleep(0)
    ended = task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return ended
