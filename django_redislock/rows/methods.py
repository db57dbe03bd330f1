"""``@locked_method``: a method that runs while the row of its instance is held."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from ..functions.calls import LockedCalls, OnBusy, WhenBusy
from ..functions.refused import Decorator, refuse_decorated
from ..options import CallOptions, check_options, documented, options_of_call
from .holds import LockedRow, Refresh, check_refresh, check_saved
from .lockable import LockableMixin, lock_of, without_row

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..functions.decorator import Raising, Yielding

__all__ = ["locked_method"]

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D")


class LockedMethodCalls(LockedCalls):
    """Calls of one method, each of which holds a row."""

    def __init__(
        self,
        method: Callable[..., Any],
        name: str | None,
        refresh: Refresh,
        when_busy: WhenBusy,
        options: Mapping[str, Any],
    ) -> None:
        source = self._own_name if name is None else name
        super().__init__(method, source, when_busy, options)
        self.refresh = refresh

    def handle(  # type: ignore[override]  # the block replaces a handle
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> LockedRow:
        row = self._row(args)
        handle = lock_of(row, name, options_of_call(self.options, args, kwargs))
        return LockedRow(handle, row, self.refresh)

    def _own_name(self, *args: Any, **kwargs: Any) -> str:
        return self._row(args).get_lock_name()

    def _row(self, args: Sequence[Any]) -> LockableMixin:
        if not args or not isinstance(args[0], LockableMixin):
            raise TypeError(
                f"{self.what} is to be called on an instance of a model with LockableMixin: add it "
                "to the bases of the model, or write @locked."
            )
        check_saved(args[0])
        return args[0]


@overload
def locked_method(method: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def locked_method(
    name: str | None = ...,
    *,
    refresh: Refresh = ...,
    on_busy: Literal["raise", "retry"] = ...,
    **options: Unpack[CallOptions],
) -> Raising: ...
@overload
def locked_method(
    name: str | None = ...,
    *,
    refresh: Refresh = ...,
    on_busy: Literal["skip"],
    default: D,
    **options: Unpack[CallOptions],
) -> Yielding[D]: ...
@overload
def locked_method(
    name: str | None = ...,
    *,
    refresh: Refresh = ...,
    on_busy: Literal["skip"],
    **options: Unpack[CallOptions],
) -> Yielding[None]: ...
@overload
def locked_method(
    name: str | None = ...,
    *,
    refresh: Refresh = ...,
    on_busy: Callable[..., Coroutine[Any, Any, D]],
    **options: Unpack[CallOptions],
) -> Yielding[D]: ...
@overload
def locked_method(
    name: str | None = ...,
    *,
    refresh: Refresh = ...,
    on_busy: Callable[..., D],
    **options: Unpack[CallOptions],
) -> Yielding[D]: ...


@documented(reentrant=True)
def locked_method(
    name: Any = None,
    *,
    refresh: Refresh = True,
    on_busy: OnBusy = "raise",
    default: Any = None,
    **options: Unpack[CallOptions],
) -> Any:
    """Run a method of a ``LockableMixin`` model while the row of its instance is held.

    The instance is read again when the row is held, as in ``locked()``. A locked method may call
    another one of the same instance: it does not wait for itself, and the instance is not read
    again, so that its changes are kept.

    ``name``: a template such as ``"own:{self.pk}"``, for a lock other than the row's own; its
    fields are the arguments of the method. ``on_busy`` and ``default`` are those of ``locked``, the
    other options those of the instance's ``locked()``.

    The decorator works on methods, coroutine functions, generators and async generators. Write it
    directly above the ``def``, with or without parentheses.

    Raises ``ValueError`` or ``TypeError`` for invalid arguments, when decorating.
    """
    if callable(name) or hasattr(type(name), "__get__"):  # without (): the method or a descriptor
        return locked_method()(name)
    if name is not None and not isinstance(name, str):
        raise TypeError(
            f"The lock of a method is named by a template, not by {name!r}. To hold several rows, "
            "use Model.objects.locked()."
        )
    check_refresh(refresh)
    when_busy = WhenBusy(on_busy, default)
    check_options(options, others=("refresh", "on_busy", "default"))

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        refuse_decorated(method, "@locked_method")
        if isinstance(method, (classmethod, staticmethod)):
            raise TypeError(without_row(f"@locked_method is above a {type(method).__name__}"))
        if not callable(method) or isinstance(method, type):
            raise TypeError(
                f"@locked_method decorates a method of a model, not {method!r}. Write it directly "
                "above the `def`, below other decorators."
            )
        wrapper = LockedMethodCalls(method, name, refresh, when_busy, options).wrapper()
        # For LockableMixin, which sees the decorators around it.
        wrapper.is_locked_method = True  # type: ignore[attr-defined]
        return wrapper

    return Decorator(decorate, "locked_method", "instance.locked()")
