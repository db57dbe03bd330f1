"""Workload: random operations of threads and tasks with locks, one after another."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

from django_redislock import lock
from tests.faults.workers.claims import Claim, Refused
from tests.faults.workers.modes import Handle, Mode

if TYPE_CHECKING:
    from tests.faults.history import History
    from tests.faults.workers.injections import Interruptions

MUTEXES = ("mutex-0", "mutex-1", "mutex-2")
SEMAPHORE, MIXED, CATALOGUE, NESTED = "semaphore", "mixed", "catalogue", "nested"
ACCOUNTS = ("account-0", "account-1", "account-2")
LONG, OUTLIVED, EXTENDED = "long", "outlived", "extended"
HANDED, KEPT, DROPPED, CLEARED = "handed", "kept", "dropped", "cleared"
FORCED = {"forced": 1, "forced-permits": 2}  # and their limits
FENCED, UNFENCED = ("fenced-0", "fenced-1"), ("unfenced-0", "unfenced-1")
COMMITTED = ("committed-0",)
NAMES = (
    *(*MUTEXES, SEMAPHORE, MIXED, CATALOGUE, NESTED, *ACCOUNTS, LONG, OUTLIVED, EXTENDED),
    *(HANDED, KEPT, DROPPED, *FORCED, CLEARED, *FENCED, *UNFENCED, *COMMITTED),
)

WAITS = (0.0, 0.02, 0.1, 0.5, 1.0)  # seconds
LEASE = 0.8  # seconds; the longest of all
LIMIT = 3
MIN_HOLD = 0.1  # seconds
ROUNDED = 0.002  # seconds; leases are whole milliseconds
LONGEST = max(LEASE, *WAITS)


class Actor:
    """One thread or task, with all its unfinished claims."""

    def __init__(
        self, name: str, mode: Mode, history: History, random: Random, interruptions: Interruptions
    ) -> None:
        self.name = name
        self.mode = mode
        self.history = history
        self.random = random
        self.interruptions = interruptions
        self.open: list[Claim] = []
        self.given_away: deque[str] = deque(maxlen=16)
        # A kept error keeps its traceback, and with it all handles in the frames.
        self.kept: list[BaseException] = []
        self._numbers = itertools.count()

    def claim(self, names: str | list[str], **options: Any) -> Claim:
        """Make a handle, and the claim that records its history."""
        options.setdefault("wait", self.random.choice(WAITS))
        options.setdefault("lease", LEASE)
        options.setdefault("renew", self.random.random() < 0.5)
        handle: Handle = lock(names, **options)
        shown: dict[str, Any] = {key: options[key] for key in ("limit", "shared") if key in options}
        shown["lease"] = options["lease"] if options["renew"] else None
        token = f"{os.getpid()}-{self.name}-{next(self._numbers)}"
        claim = Claim(handle, token, self.history, self.mode, self.interruptions, **shown)
        claim.joinable = self.given_away
        self.open.append(claim)
        return claim

    async def act(self, operation: Operation) -> None:
        """Carry out one operation."""
        with suppress(Refused):
            await operation(self)
        self.open.clear()
        await self.mode.sleep(self.random.uniform(0, 0.004))

    async def mend(self, error: BaseException | None = None) -> None:
        """Clean up after an interruption. May be interrupted itself, and is then called again.

        The error is kept, as an error reporter would do.
        """
        if error is not None:
            self.kept.append(error)
            del self.kept[:-40]
        while self.open:
            await self.open[-1].mend()
            self.open.pop()


Operation = Callable[[Actor], Awaitable[None]]


async def brief(actor: Actor) -> None:
    """A mutex for a moment."""
    await _hold(actor, actor.claim(actor.random.choice(MUTEXES)))


async def permit(actor: Actor) -> None:
    """One permit of a semaphore."""
    await _hold(actor, actor.claim(SEMAPHORE, limit=LIMIT), most=0.02)


async def mix(actor: Actor) -> None:
    """A permit of a name that others claim with other limits: the strictest counts."""
    await _hold(actor, actor.claim(MIXED, limit=actor.random.randint(1, LIMIT)), most=0.01)


async def read_or_write(actor: Actor) -> None:
    """A read lock, or the lock that excludes all readers."""
    shared = actor.random.random() < 0.8
    await _hold(actor, actor.claim(CATALOGUE, shared=shared), most=0.01)


async def transfer(actor: Actor) -> None:
    """Several names together."""
    await _hold(actor, actor.claim(actor.random.sample(ACCOUNTS, 2)))


async def nest(actor: Actor) -> None:
    """A hold that is joined by a second handle of the same thread or task."""
    outer = actor.claim(NESTED, reentrant=True)
    await outer.acquire()
    inner = actor.claim(NESTED, reentrant=True, wait=0)
    await outer.join(inner)
    await outer.release()


async def hold_long(actor: Actor) -> None:
    """A renewed hold for longer than its lease."""
    claim = actor.claim(LONG, lease=0.3, renew=True)
    await claim.acquire()
    for _ in range(10):
        await actor.mode.sleep(0.05)
        if not claim.witness():
            break
    await claim.release()


async def outlive(actor: Actor) -> None:
    """A hold that is not renewed, and ends before its work does."""
    claim = actor.claim(OUTLIVED, lease=0.1, renew=False)
    await claim.acquire()
    for _ in range(3):
        await actor.mode.sleep(0.04)
        claim.witness()
    await claim.release()


async def keep(actor: Actor) -> None:
    """A hold that lasts for a minimum time, however soon it is released."""
    claim = actor.claim(KEPT, min_hold=MIN_HOLD)
    await claim.acquire()
    since = claim.since
    if await claim.release():
        claim.note("held", at=int(1e9 * (since + MIN_HOLD - ROUNDED)))


async def drop(actor: Actor) -> None:
    """A hold that the program forgets to release: it is not renewed, and its lease ends it."""
    await actor.claim(DROPPED, lease=0.2, renew=True).acquire()


async def outlast(actor: Actor) -> None:
    """A hold of a thread or task that ends, and leaves its handle to another."""
    claim = actor.claim(LONG, lease=0.3, renew=True)
    # Whoever waits for another thread and is interrupted does not know what that one acquires.
    await (claim.acquire() if actor.interruptions else actor.mode.apart(claim.acquire()))
    for _ in range(8):
        await actor.mode.sleep(0.05)
        if not claim.witness():
            break
    await claim.release()


async def extend(actor: Actor) -> None:
    """A hold whose user extends it."""
    claim = actor.claim(EXTENDED, lease=0.1, renew=False)
    await claim.acquire()
    await actor.mode.sleep(0.05)
    await claim.extend(0.3)
    await actor.mode.sleep(0.1)
    await claim.release()


async def release_elsewhere(actor: Actor) -> None:
    """Another thread or task releases the hold while this one acquires the name again."""
    name = actor.random.choice(MUTEXES)
    first = actor.claim(name)
    await first.acquire()
    actor.given_away.append(first.hold)
    await first.release_elsewhere()
    actor.open.remove(first)
    await _hold(actor, actor.claim(name))


async def share_token(actor: Actor) -> None:
    """A deliberate mistake that must be found: all actors claim the name with the same token."""
    await _hold(actor, actor.claim(MUTEXES[0], token="0" * 32))


async def _hold(actor: Actor, claim: Claim, most: float = 0.003) -> None:
    as_block = actor.random.random() < 0.5
    await claim.acquire(as_block=as_block)
    await actor.mode.sleep(actor.random.uniform(0, most))
    await claim.release(as_block=as_block)


WEIGHTS: dict[Operation, int] = {
    brief: 40,
    permit: 12,
    mix: 6,
    read_or_write: 12,
    transfer: 12,
    nest: 8,
    hold_long: 2,
    outlive: 2,
    extend: 2,
    keep: 2,
    drop: 1,
    outlast: 1,
}
