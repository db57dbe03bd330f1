"""Several names as one lock, taken in a fixed order so that attempts never deadlock."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ..clock import monotonic
from ..conf import Duration, wait_seconds
from ..exceptions import LockError, LockNotAcquired
from ..local.registry import Attempt
from ..waiting import FIRST_ANSWER, SHORTEST_STAY, TOLERANCE
from .base import Handle, not_made_by_lock
from .single import Lock

if TYPE_CHECKING:
    from ..backends.base import Holder
    from ..twins import Call

__all__ = ["MultiLock"]


class MultiLock(Handle["MultiLock"]):
    """A handle for several names: it holds all of them or none. Made by ``lock([...])``.

    It is acquired, extended and released as a ``Lock`` is. ``locks`` are the handles of the single
    names.

    The names are taken in sorted order and released in reverse; ``wait`` is for all together. If
    one is lost while a later one is waited for, ``acquire()`` raises ``LockLost``. An error with
    one name does not keep the others from being released.
    """

    def __init__(
        self, locks: Sequence[Lock], wait: float | None = None, **options: NoReturn
    ) -> None:
        if wait is None or options or any(isinstance(one, str) for one in locks):
            raise not_made_by_lock(self)
        self.locks = tuple(locks)
        group = secrets.token_hex(8)
        for lock in locks:
            lock._group = group
        self.wait = wait
        # The handle that is being acquired or was refused; the last one if all were granted.
        self._asked = self.locks[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order in which they are taken."""
        return tuple(lock.name for lock in self.locks)

    @property
    def fences(self) -> dict[str, int]:
        """The fence of each name."""
        return {lock.name: lock.fence for lock in self.locks}

    @property
    def tokens(self) -> dict[str, str]:
        """The token of each name."""
        return {lock.name: lock.token for lock in self.locks}

    @property
    def held(self) -> bool:
        """Whether every name is held, according to the local clock."""
        return all(lock.held for lock in self.locks)

    @property
    def holder(self) -> Holder | None:
        """The holder of the name that is in the way; this handle while it holds all names."""
        return self._asked.holder

    @property
    def position(self) -> int | None:
        """The place in the queue for the name that is in the way, as ``Lock.position``."""
        return self._asked.position

    @property
    def estimated_wait(self) -> float | None:
        """Seconds until the turn for the name that is in the way, as ``Lock.estimated_wait``."""
        return self._asked.estimated_wait

    def remaining(self) -> float:
        """Seconds until the first lease ends, according to the local clock."""
        return min(lock.remaining() for lock in self.locks)

    def check(self) -> None:
        """Raise as ``Lock.check()`` does, unless every name is held. Does not ask the server."""
        for lock in self.locks:
            lock.check()

    def __bool__(self) -> bool:
        return bool(self.locks[0])

    def __repr__(self) -> str:
        return f"<MultiLock {', '.join(map(repr, self.names))}>"

    async def _acquire(self, call: Call, wait: Duration | None) -> bool:
        wait = self.wait if wait is None else wait_seconds(wait, "wait")
        began = monotonic()
        # If the attempt fails, the names are given back by this time, or else in the background.
        until = began + (wait + TOLERANCE if wait > 0 else FIRST_ANSWER)
        if any(lock.held for lock in self.locks):
            raise LockError(f"{self!r} is held already. Release it first.", name=self.names[0])
        # Each name has an attempt of its own; this one covers the names acquired so far, until they
        # are given back.
        call.taken = []
        attempt = Attempt(call, call.taken, new_since=began)
        try:
            for lock in self.locks:
                self._asked = lock
                # Without a wait each name is tried once, however long all take together.
                acquired = await lock._acquire(call, wait, began if wait > 0 else None)
                if not acquired:
                    break
            else:
                # A name may have been lost, or released by another thread, during a later wait.
                self.check()
        except GeneratorExit:
            raise  # a coroutine that is being closed must not await anything
        except BaseException:
            # A cancelled wait must end soon, even if the server hangs.
            await self._give_back(call, began, min(until, monotonic() + FIRST_ANSWER))
            attempt.registered.pop(attempt, None)
            raise
        if not acquired:
            await self._give_back(call, began, until)
        # A statement, not a call: no asynchronous exception can come between it and the return.
        del attempt.registered[attempt]
        return acquired

    async def _release(self, call: Call) -> None:
        await self._release_all(call, lambda lock: lock._release(call))

    async def _extend(self, call: Call, lease: Duration | None) -> None:
        await _each(self.locks, lambda lock: lock._extend(call, lease))

    async def _leave(self, call: Call, error: BaseException | None) -> None:
        if not self._outlives_block:
            await self._release_all(call, lambda lock: lock._leave(call, error))

    def _end_later(self, error: BaseException) -> None:
        for lock in self.locks:
            lock._end_later(error)

    async def _give_back(self, call: Call, began: float, until: float) -> None:
        """Release the acquired names; those without an answer in time, in the background."""

        def give_back(lock: Lock) -> Coroutine[Any, Any, None]:
            return lock._give_back(call, began, max(SHORTEST_STAY, until - monotonic()))

        await _each(reversed(self.locks), give_back)

    async def _release_all(
        self, call: Call, do: Callable[[Lock], Coroutine[Any, Any, None]]
    ) -> None:
        # Each name has an attempt of its own; this one covers the names not reached yet.
        parts = [(lock._hold, lock._need) for lock in self.locks if lock._need is not None]
        attempt = Attempt(call, parts)
        try:
            await _each(reversed(self.locks), do)
        except LockError:
            attempt.registered.pop(attempt, None)
            raise
        # A statement, not a call: no asynchronous exception can come between it and the return.
        del attempt.registered[attempt]

    def _busy_error(self, wait: float) -> LockNotAcquired:
        return self._asked._busy_error(wait)


async def _each(locks: Iterable[Lock], do: Callable[[Lock], Coroutine[Any, Any, None]]) -> None:
    """Call ``do`` for all locks, even if it fails for some; then raise the gravest error."""
    errors: list[BaseException] = []
    for lock in locks:
        try:
            await do(lock)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)
    # An interrupt is more important than a lost lock.
    errors.sort(key=lambda error: isinstance(error, LockError))
    if errors:
        raise errors[0]
