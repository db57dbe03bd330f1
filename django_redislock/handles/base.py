"""Verbs of a handle, for threads and for coroutines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from ..twins import Call, aperform, perform
from .arguments import refuse_arguments

if TYPE_CHECKING:
    from ..conf import Duration
    from ..exceptions import LockNotAcquired

__all__ = ["Block", "Handle"]

T = TypeVar("T")


class Block(ABC, Generic[T]):
    """``with`` and ``async with`` around what is done under a lock."""

    def __enter__(self) -> T:
        return perform(self._enter)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        perform(self._leave, exc)

    async def __aenter__(self) -> T:
        return await aperform(self._enter)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await aperform(self._leave, exc)

    # What a thread and a task do alike.

    @abstractmethod
    async def _enter(self, call: Call) -> T:
        """Enter the block, and return what it gets."""

    @abstractmethod
    async def _leave(self, call: Call, error: BaseException | None) -> None:
        """Leave the block, which raised ``error`` or nothing; an error is never hidden."""


class Handle(Block[T]):
    """``acquire``, ``release``, ``extend`` and their ``a`` twins; ``with`` gives the handle."""

    wait: float

    def acquire(self, wait: Duration | None = None, **unknown: NoReturn) -> bool:
        """Hold the lock; return False if it was still busy after ``wait`` seconds.

        ``wait`` is exact and defaults to the handle's own; 0 does not wait, ``float("inf")`` waits
        for ever. Raises ``LockUnavailable`` if the backend does not answer, and ``LockError`` if
        this handle holds the lock already, or another thread acquires it with this handle. When it
        raises anything, nothing is held.
        """
        if unknown or isinstance(wait, bool):
            refuse_arguments("acquire", wait, unknown)
        return perform(self._acquire, wait)

    async def aacquire(self, wait: Duration | None = None, **unknown: NoReturn) -> bool:
        """The twin of ``acquire``."""
        if unknown or isinstance(wait, bool):
            refuse_arguments("aacquire", wait, unknown)
        return await aperform(self._acquire, wait)

    def release(self) -> None:
        """End the hold; the first who waits holds the lock then.

        Raises ``LockLost`` if the hold had ended before, ``LockUnavailable`` if the backend did not
        answer (the release is tried again in the background until the lease ends it), and
        ``LockError`` if nothing was held.
        """
        perform(self._release)

    async def arelease(self) -> None:
        """The twin of ``release``."""
        await aperform(self._release)

    def extend(self, lease: Duration | None = None, **unknown: NoReturn) -> None:
        """Let the lease end ``lease`` seconds from now (by default the handle's own lease).

        Raises ``LockLost`` or ``LockUnavailable``, and ``LockError`` if nothing was acquired.
        """
        if unknown:
            refuse_arguments("extend", lease, unknown)
        perform(self._extend, lease)

    async def aextend(self, lease: Duration | None = None, **unknown: NoReturn) -> None:
        """The twin of ``extend``."""
        if unknown:
            refuse_arguments("aextend", lease, unknown)
        await aperform(self._extend, lease)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be pickled: what it holds, this process holds. To hand a hold to "
            "another process, pass on what detach() returns, and have that process act by "
            "lock(name, token=...)."
        )

    # What a thread and a task do alike.

    async def _enter(self, call: Call) -> T:
        if not await self._acquire(call, None):
            raise self.busy_error(self.wait)
        handle: Any = self
        entered: T = handle
        return entered

    @abstractmethod
    async def _acquire(self, call: Call, wait: Duration | None) -> bool: ...

    @abstractmethod
    async def _release(self, call: Call) -> None: ...

    @abstractmethod
    async def _extend(self, call: Call, lease: Duration | None) -> None: ...

    @abstractmethod
    def busy_error(self, wait: float) -> LockNotAcquired:
        """What to raise when an attempt that waited ``wait`` seconds ended without the lock."""
