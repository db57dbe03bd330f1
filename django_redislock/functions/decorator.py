"""``@locked``: a function that one caller at a time may run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from ..names import NameSource
from ..options import CallOptions, check_options, documented
from .calls import LockedCalls, OnBusy, WhenBusy
from .refused import Decorator, refuse_bare, refuse_decorated

if TYPE_CHECKING:
    from typing_extensions import Unpack


__all__ = ["locked"]

NAME_IT = (
    'It goes directly above the `def` and needs the name of the lock: @locked("feed:{feed_id}").'
)

P = ParamSpec("P")
R = TypeVar("R")
G = TypeVar("G", bound=Iterator[Any] | AsyncIterator[Any])
D = TypeVar("D")
D_co = TypeVar("D_co", covariant=True)


class Raising(Protocol):
    """A decorator that keeps a function's type."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...


class Yielding(Protocol, Generic[D_co]):
    """A decorator whose function may also return what ``on_busy`` says.

    A generator keeps its type, because it yields the items of that.
    """

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> Callable[P, Coroutine[Any, Any, R | D_co]]: ...
    @overload
    def __call__(self, function: Callable[P, G], /) -> Callable[P, G]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R | D_co]: ...


@overload
def locked(
    name: NameSource,
    *,
    on_busy: Literal["raise", "retry"] = ...,
    **options: Unpack[CallOptions],
) -> Raising: ...
@overload
def locked(
    name: NameSource, *, on_busy: Literal["skip"], default: D, **options: Unpack[CallOptions]
) -> Yielding[D]: ...
@overload
def locked(
    name: NameSource, *, on_busy: Literal["skip"], **options: Unpack[CallOptions]
) -> Yielding[None]: ...
@overload
def locked(
    name: NameSource,
    *,
    on_busy: Callable[..., Coroutine[Any, Any, D]],
    **options: Unpack[CallOptions],
) -> Yielding[D]: ...
@overload
def locked(
    name: NameSource, *, on_busy: Callable[..., D], **options: Unpack[CallOptions]
) -> Yielding[D]: ...


@documented()
def locked(
    name: NameSource,
    *,
    on_busy: OnBusy = "raise",
    default: Any = None,
    **options: Unpack[CallOptions],
) -> Any:
    """Run the function under a lock that is named after the arguments of the call.

    ``name``: a template such as ``"feed:{feed_id}"``, whose fields are the function's arguments by
    name, with attributes and items as in ``str.format``; a list of templates, all of which are
    held; or a callable that gets the arguments and returns the name. The values in a template are
    encoded, so that two calls never share a name by accident.

    ``on_busy``: what a call does when the lock is still busy after ``wait`` seconds. ``"raise"``
    raises ``LockNotAcquired``. ``"skip"`` returns ``default``. ``"retry"`` makes Celery retry the
    current task when the hold in its way should have ended; outside of a worker's task it raises. A
    callable is called with the error and the arguments, and the call returns its result.

    ``label`` may be a callable that gets the arguments. The decorator works on functions, coroutine
    functions, generators and async generators; a generator holds the lock from its first item to
    its last. Write it directly above the ``def``, below other decorators.

    Raises ``ValueError`` or ``TypeError`` for invalid arguments, when decorating.
    """
    refuse_bare(name, "@locked", NAME_IT)
    when_busy = WhenBusy(on_busy, default)
    check_options(options, others=("on_busy", "default"))

    def decorate(function: Any = None, /, *args: Any, **kwargs: Any) -> Any:
        refuse_decorated(function, "@locked")
        if args or kwargs:
            # ``@locked`` without parentheses is called with the arguments of the function.
            raise TypeError(f"@locked was written without parentheses. {NAME_IT}")
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(decorate(function.__func__))
        if not callable(function) or isinstance(function, type):
            raise TypeError(f"@locked decorates a function, not {function!r}. {NAME_IT}")
        return LockedCalls(function, name, when_busy, options).wrapper()

    return Decorator(decorate, "locked", 'lock("feed:7")')
