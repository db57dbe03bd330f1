"""The two faces of a lock: one for threads, one for coroutines, over the same steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

from .conf import Duration
from .exceptions import LockNotAcquired
from .steps import Steps, aperform, perform

__all__ = ["TwoFaced"]

Self = TypeVar("Self", bound="TwoFaced")


class TwoFaced(ABC):
    """``acquire``, ``release``, ``extend`` and their ``a`` twins, ``with`` and ``async with``."""

    wait: float

    def acquire(self, wait: Duration | None = None) -> bool:
        """Hold the lock; return False if it was still busy after ``wait`` seconds.

        ``wait`` is exact and defaults to the handle's own; 0 does not wait, ``float("inf")`` waits
        for ever. Raises ``LockUnavailable`` if the backend does not answer, and ``LockError`` if
        this handle holds the lock already.
        """
        return perform(self.acquiring(wait))

    async def aacquire(self, wait: Duration | None = None) -> bool:
        """The twin of ``acquire``."""
        return await aperform(self.acquiring(wait))

    def release(self) -> None:
        """End the hold; the first who waits holds the lock then.

        Raises ``LockLost`` if the hold had ended before, ``LockUnavailable`` if the backend did not
        answer (the release is tried again in the background until the lease ends it), and
        ``LockError`` if nothing was held.
        """
        perform(self.releasing())

    async def arelease(self) -> None:
        """The twin of ``release``."""
        await aperform(self.releasing())

    def extend(self, lease: Duration | None = None) -> None:
        """Let the lease end ``lease`` seconds from now (by default the handle's own lease).

        Raises ``LockLost`` or ``LockUnavailable``, and ``LockError`` if nothing was acquired.
        """
        perform(self.extending(lease))

    async def aextend(self, lease: Duration | None = None) -> None:
        """The twin of ``extend``."""
        await aperform(self.extending(lease))

    def __enter__(self: Self) -> Self:
        if not self.acquire():
            raise self.busy_error(self.wait)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        perform(self.leaving(exc))

    async def __aenter__(self: Self) -> Self:
        if not await self.aacquire():
            raise self.busy_error(self.wait)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await aperform(self.leaving(exc))

    # The steps, written once for both.

    @abstractmethod
    def acquiring(self, wait: Duration | None) -> Steps[bool]: ...

    @abstractmethod
    def releasing(self) -> Steps[None]: ...

    @abstractmethod
    def extending(self, lease: Duration | None) -> Steps[None]: ...

    @abstractmethod
    def leaving(self, error: BaseException | None) -> Steps[None]:
        """Leave the block, which raised ``error`` or nothing; an error is never hidden."""

    @abstractmethod
    def busy_error(self, wait: float) -> LockNotAcquired:
        """What to raise when an attempt that waited ``wait`` seconds ended without the lock."""
