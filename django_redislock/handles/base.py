"""Verbs of a handle, for threads and for coroutines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from ..options import OPTIONS
from ..twins import Call, aperform, perform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..conf import Duration
    from ..exceptions import LockNotAcquired

__all__ = ["Block", "Handle", "not_made_by_lock"]

T = TypeVar("T")


class Block(ABC, Generic[T]):
    """Base of everything that holds a lock during a ``with`` or ``async with`` block."""

    # What follows a second interruption is written out in each method: a function for it could be
    # interrupted at its beginning, before it has done anything.

    def __enter__(self) -> T:
        return perform(self._enter)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            perform(self._leave, exc)
        except BaseException as error:
            try:
                self._end_later(error)
            except BaseException:  # a second interruption
                self._end_later(error)
                raise
            raise

    async def __aenter__(self) -> T:
        return await aperform(self._enter)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await aperform(self._leave, exc)
        except BaseException as error:
            try:
                self._end_later(error)
            except BaseException:  # a second interruption
                self._end_later(error)
                raise
            raise

    # The implementations, which threads and tasks share.

    @abstractmethod
    async def _enter(self, call: Call) -> T:
        """Enter the block, and return its ``as`` value."""

    @abstractmethod
    async def _leave(self, call: Call, error: BaseException | None) -> None:
        """Leave the block. ``error``: what the block raised, if anything; it is never hidden."""

    @abstractmethod
    def _end_later(self, error: BaseException) -> None:
        """If an interruption kept the end from beginning, have it done in the background.

        It may be called again if it was interrupted itself.
        """


class Handle(Block[T]):
    """``acquire``, ``release``, ``extend`` and their ``a`` twins. ``with`` returns the handle."""

    wait: float
    # Whether a block is left without a release, because a streamed response still needs the lock.
    _outlives_block = False

    def acquire(self, wait: Duration | None = None, **unknown: NoReturn) -> bool:
        """Acquire the lock. Return False if it is still busy after ``wait`` seconds.

        ``wait`` is exact and defaults to the handle's own; 0 does not wait, ``float("inf")`` waits
        for ever. Raises ``LockUnavailable`` if the backend does not answer, and ``LockError`` if
        this handle already holds the lock or another thread is acquiring it with this handle. A
        call that raises has acquired nothing.
        """
        if unknown or isinstance(wait, bool):
            _refuse_arguments("acquire", wait, unknown)
        return perform(self._acquire, wait)

    async def aacquire(self, wait: Duration | None = None, **unknown: NoReturn) -> bool:
        """The twin of ``acquire``."""
        if unknown or isinstance(wait, bool):
            _refuse_arguments("aacquire", wait, unknown)
        return await aperform(self._acquire, wait)

    def release(self) -> None:
        """End the hold. The first waiter in the queue becomes the holder.

        Raises ``LockLost`` if the hold had already ended, ``LockUnavailable`` if the backend did
        not answer (the release is then retried in the background until the lease ends), and
        ``LockError`` if nothing was held.
        """
        try:
            perform(self._release)
        except BaseException as error:
            try:
                self._end_later(error)
            except BaseException:  # a second interruption
                self._end_later(error)
                raise
            raise

    async def arelease(self) -> None:
        """The twin of ``release``."""
        try:
            await aperform(self._release)
        except BaseException as error:
            try:
                self._end_later(error)
            except BaseException:  # a second interruption
                self._end_later(error)
                raise
            raise

    def extend(self, lease: Duration | None = None, **unknown: NoReturn) -> None:
        """Set the lease to end ``lease`` seconds from now (by default the handle's own lease).

        Raises ``LockLost`` or ``LockUnavailable``, and ``LockError`` if nothing was acquired.
        """
        if unknown:
            _refuse_arguments("extend", lease, unknown)
        perform(self._extend, lease)

    async def aextend(self, lease: Duration | None = None, **unknown: NoReturn) -> None:
        """The twin of ``extend``."""
        if unknown:
            _refuse_arguments("aextend", lease, unknown)
        await aperform(self._extend, lease)

    if not TYPE_CHECKING:
        # Django's templates call what is callable, unless it says this.
        do_not_call_in_templates = True

        def __call__(self, *args: object, **kwargs: object) -> NoReturn:
            raise TypeError(
                f"{self!r} cannot be called, and decorates no function. Write "
                '@locked("feed:{feed_id}") above the function, or `with lock("feed:7"):` in it.'
            )

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be copied or pickled: its hold belongs to this process. To hand a "
            "hold to another process, pass on what detach() returns, and have that process act by "
            "lock(name, token=...)."
        )

    # The implementations, which threads and tasks share.

    async def _enter(self, call: Call) -> T:
        if not await self._acquire(call, None):
            raise self._busy_error(self.wait)
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
    def _busy_error(self, wait: float) -> LockNotAcquired:
        """Return the error for an attempt that waited ``wait`` seconds without success."""


def not_made_by_lock(handle: Handle[Any]) -> TypeError:
    """Return the error for a call of the class itself, which its users mistake for ``lock()``."""
    return TypeError(
        f"{type(handle).__name__} is the class of handles, which lock() makes. Write "
        'lock("feed:7", wait=5), or lock([...]) for several names.'
    )


def _refuse_arguments(verb: str, seconds: object, unknown: Mapping[str, object]) -> NoReturn:
    """Raise ``TypeError`` for unknown arguments, or for a flag instead of seconds.

    Other lock libraries take both; the error says what to write here.
    """
    own = "wait" if verb.endswith("acquire") else "lease"
    if not unknown:
        raise TypeError(
            f"{own} must be a number of seconds, not {seconds!r}; wait=0 makes an attempt that "
            "does not wait."
        )
    name = next(iter(unknown))
    if name in OPTIONS:
        hint = f"it is an option of the handle, lock(..., {name}=...)"
    elif name == "blocking":
        hint = "write wait=0 for an attempt that does not wait"
    else:
        hint = f"write {own}= and a number of seconds"
    raise TypeError(f"{verb}() has no argument {name!r}: {hint}.")
