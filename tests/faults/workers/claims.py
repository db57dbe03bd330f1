"""Claims: handles whose every step is written into the history."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any

from django_redislock import (
    Lock,
    LockError,
    LockLost,
    LockNotAcquired,
    LockUnavailable,
    MultiLock,
)
from django_redislock.local.lost import Lost
from tests.faults.history import TOGETHER, History, now
from tests.faults.workers.modes import Handle, Mode
from tests.faults.workers.probes import processor_delay

if TYPE_CHECKING:
    from tests.faults.workers.injections import Interruptions


# How a release reports a lost hold. Of several names, one may also be unreachable.
REPORTED = (LockLost.__name__, LockUnavailable.__name__)
# Why a hold is lost whose process ends.
AT_END = "the process ends"


class Refused(Exception):
    """The claim has no hold to work with; the history says why."""


class Claim:
    """One attempt, and the hold that it becomes."""

    def __init__(
        self,
        handle: Handle,
        token: str,
        history: History,
        mode: Mode,
        interruptions: Interruptions,
        **shown: Any,
    ) -> None:
        self.handle = handle
        self.token = token
        self.mode = mode
        self.answered = self.begun = False
        # Whether an operator may release it by force, so that its loss has a reason.
        self.may_be_forced = False
        # Holds of this actor that are being released elsewhere: joining one is not a grant.
        self.joinable: Collection[str] = ()
        self._history = history
        self._interruptions = interruptions
        self._lease = shown.pop("lease", None)
        self._shown = shown
        # Names that are held together are also checked as one name; only that one waits.
        self._together = (
            TOGETHER.join(handle.names) if isinstance(handle, MultiLock) else handle.name
        )

    async def answer_of(
        self, verb: Callable[..., Awaitable[Any]], *arguments: Any
    ) -> tuple[Any, str]:
        """Return what a verb of the mode returns for the handle, and a description of its error."""
        try:
            return await verb(self.handle, *arguments), ""
        except self._interruptions:
            raise
        except Exception as error:  # noqa: BLE001 (judged by the checker)
            return None, described(error)

    def note(self, kind: str, **fields: Any) -> None:
        """Write an event of the whole claim into the history."""
        self._history.record(kind, self._together, self.token, **self._shown, **fields)

    def witness(self, kind: str = "held") -> bool:
        """Record that the claim is held now, if the handle says so; return whether it does."""
        # The time is taken first, so that the claim certainly was held then.
        at = now()
        if not self.handle.held:
            return False
        self._note_each(kind, at)
        return True

    @property
    def hold(self) -> str:
        """The token of the hold of one name, which handles may share."""
        return "" if isinstance(self.handle, MultiLock) else self.handle.token

    @property
    def since(self) -> float:
        """When the hold of one name began (seconds on the clock of the history)."""
        assert isinstance(self.handle, Lock)
        return self.handle._hold.since

    @property
    def ends(self) -> float:
        """When its lease, or the first of several, ends or has ended, on the same clock."""
        locks = self.handle.locks if isinstance(self.handle, MultiLock) else [self.handle]
        return min(one._hold.ends for one in locks)

    async def acquire(self, *, as_block: bool = False) -> None:
        """Acquire the claim, or raise Refused."""
        self.begun = True
        self.note("asked", wait=self.handle.wait, delay=processor_delay())
        try:
            acquired = await self._ask(as_block)
        except self._interruptions:
            raise
        except LockNotAcquired:
            acquired = False
        except Exception as error:
            self._answer("failed", error=described(error))
            raise Refused from error
        if not acquired:
            self._answer("gave_up")
            if self.handle.held:
                self.note("error", error="a handle that has not acquired says that it is held")
            raise Refused
        if not self.witness("acquired"):
            self._answer("lost")
            return
        self.answered = True

    async def extend(self, lease: float) -> None:
        """Extend the hold, if it is still held."""
        if not self.witness():
            return
        _, error = await self.answer_of(self.mode.extend, lease)
        if error:
            self.note("over", error=error)
        else:
            self.witness()

    async def release(self, *, as_block: bool = False) -> bool:
        """Release the hold, and return whether this succeeded; a lost hold must be reported."""
        ends = self.ends
        held = self.witness("released")
        if not held:
            self.note("lost", lease=None if self._may_be_lost else self._lease)
        return await self._release(held, as_block, ends)

    async def detach(self, lease: float) -> bool:
        """Leave the hold to whoever has its token, and return whether this succeeded."""
        if not self.witness("released"):
            await self.release()
            return False
        _, error = await self.answer_of(self.mode.detach, lease)
        if error:
            self.note("over", error=error, lease=self._left())
        return not error

    async def join(self, inner: Claim) -> None:
        """Acquire and release another handle of the same thread or task, which joins the hold."""
        ends = self.ends
        held = self.witness()
        try:
            joined = await self.mode.acquire(inner.handle)
            # A hold that is over by the local clock cannot be joined; a renewal may be answered
            # after that.
            if self.witness() and not joined and time.monotonic() < ends:
                self.note("error", error="a reentrant handle was refused by its own thread's hold")
            if held and joined and inner.hold != self.hold and self.handle.held:
                self.note("error", error="a reentrant handle holds beside its own thread's hold")
            if joined:
                await self.mode.leave(inner.handle)
        except LockError as error:
            self.note("over", error=described(error))

    async def release_elsewhere(self) -> None:
        """Let another thread or task release the hold."""
        if self.witness("released"):
            await self.mode.elsewhere(self._release(held=True, as_block=False, ends=self.ends))

    async def mend(self) -> None:
        """Release what an interruption has left held, as a `finally` would."""
        if self.begun and not self.answered:
            self._answer("interrupted")
        if self.witness("released"):
            try:
                await self.mode.release(self.handle)
            except LockError as error:
                # An interrupted release may have succeeded; then the name is no longer held.
                if type(error) is not LockError:
                    self.note("over", error=described(error))

    async def _release(self, held: bool, as_block: bool, ends: float) -> bool:
        is_lost = any(self._losses)
        _, error = await self.answer_of(self.mode.leave if as_block else self.mode.release)
        is_judged = held and not self._may_be_lost
        self.note("over", error=error, lease=self._left() if is_judged else None)
        if self.handle.held:
            self.note("error", error="a handle that was released says that it is held")
        # An extension may be answered just after the lease has ended at `ends`, by the local clock.
        # The server had the hold all along, so nothing was lost, even if the thread that renews
        # says so meanwhile. Holds that are not renewed are extended once, after a hand-over.
        was_extended = not error and not is_lost and self.ends > ends
        if not held and error not in REPORTED and not was_extended:
            self.note("error", error=f"the release of a lost hold was answered with {error!r}")
        return not error

    def _left(self) -> float:
        """Return how long (seconds) the lease goes on: a hold is never lost before its end."""
        return max(0.0, self.ends - time.monotonic())

    @property
    def _may_be_lost(self) -> bool:
        return self.may_be_forced or any(lost.reason == AT_END for lost in self._losses)

    @property
    def _losses(self) -> list[Lost]:
        handles = self.handle.locks if isinstance(self.handle, MultiLock) else [self.handle]
        return [one.lost for one in handles]

    async def _ask(self, as_block: bool) -> bool:
        if as_block:
            await self.mode.enter(self.handle)
            return True
        return await self.mode.acquire(self.handle)

    def _answer(self, kind: str, **fields: Any) -> None:
        self.note(kind, delay=processor_delay(), **fields)
        self.answered = True

    def _note_each(self, kind: str, at: int) -> None:
        delay = processor_delay() if kind == "acquired" else 0.0
        if not isinstance(self.handle, MultiLock):
            joined = self.hold in self.joinable
            self.note(kind, at=at, fence=None if joined else self.handle.fence, delay=delay)
            return
        self.note(kind, at=at, delay=delay)
        for name, fence in self.handle.fences.items():
            self._history.record(kind, name, self.token, at=at, fence=fence)


def described(error: BaseException) -> str:
    """Describe a documented error by its class, and any other error in full."""
    if isinstance(error, LockError) and type(error) is not LockError:
        return type(error).__name__
    cause = f", from {error.__cause__!r}" if error.__cause__ else ""
    return f"{error!r}{cause}"
