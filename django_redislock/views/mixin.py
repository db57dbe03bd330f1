"""``LockedViewMixin``: a class view that one request at a time may run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import classonlymethod
from django.views.generic import View

from ..attributes import check_attributes, check_lock_options, check_reached, is_known_later
from ..conf import Duration
from ..names import NameSource, dotted_path, name_templates
from ..signatures import check_takes
from .atomic_requests import take_over_atomic_requests
from .decorator import locked_view

if TYPE_CHECKING:
    _View = View[Any]
else:
    _View = object

__all__ = ["LockedViewMixin"]

V = TypeVar("V", bound=Callable[..., Any])

ATTRIBUTES = (
    *("lock_name", "lock_wait", "lock_status", "lock_methods"),
    *("lock_on_busy", "lock_on_unavailable", "lock_options"),
)


class LockedViewMixin(_View):
    """A class view that one request at a time may run.

    Its attributes are the arguments of ``locked_view``, with the prefix ``lock_``.

    ``lock_name`` is a template, or a method that gets the same arguments as ``dispatch``.
    ``lock_options`` are the options without an attribute of their own, such as ``lease``. Goes
    before ``View`` and after access mixins such as ``LoginRequiredMixin``.

    Raises ``ValueError`` or ``TypeError`` for invalid attributes when the class is created, and for
    invalid arguments in ``as_view()``.
    """

    lock_name: NameSource = ""
    lock_wait: Duration | None = 0
    lock_status: int = 423
    lock_methods: Collection[str] | None = None
    lock_on_busy: Callable[..., Any] | None = None
    lock_on_unavailable: Literal["refuse", "proceed"] = "refuse"
    lock_options: Mapping[str, Any] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_attributes(cls, LockedViewMixin, by_call=True)
        check_reached(cls, LockedViewMixin, "dispatch")
        _check(cls, {})

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # Read on each request, as Django does in its own views: setup() may change attributes.
        decorate = _decorator_of(self)
        return decorate(super().dispatch)(request, *args, **kwargs)

    @classonlymethod
    def as_view(cls, *args: Any, **initkwargs: Any) -> Any:
        if not initkwargs.get("lock_name", cls.lock_name):
            raise ImproperlyConfigured(
                f"{dotted_path(cls)} needs the attribute lock_name: a template, or a method that "
                "gets the request."
            )
        if not issubclass(cls, View):
            raise TypeError(
                f"LockedViewMixin goes before a view: class {cls.__name__}(LockedViewMixin, View)."
            )
        view = super().as_view(*args, **initkwargs)
        _check(cls, initkwargs)
        # Not on dispatch(), where the mark of one view would apply to all.
        if all(_leaves_the_database_alone(one) for one in _before_the_lock(cls)):
            take_over_atomic_requests(view)
        return view


def _decorator_of(view: Any) -> Callable[[V], V]:
    given = {name.removeprefix("lock_"): getattr(view, name) for name in ATTRIBUTES}
    return locked_view(**given.pop("options"), **given)


def _check(view_class: type, initkwargs: Mapping[str, Any]) -> None:
    """Raise for invalid attributes, as far as their values are already known."""
    values = {}
    for name in ATTRIBUTES:
        is_late = is_known_later(inspect.getattr_static(view_class, name))
        values[name] = getattr(LockedViewMixin if is_late else view_class, name)
    view = SimpleNamespace(**{**values, **initkwargs})
    is_method = "lock_on_busy" not in initkwargs and isinstance(
        inspect.getattr_static(view_class, "lock_on_busy"), FunctionType
    )
    gets = ["self", "request", "error"] if is_method else ["request", "error"]
    try:
        check_lock_options(view.lock_options, ATTRIBUTES)
        if "lock_name" not in initkwargs:
            _check_name(inspect.getattr_static(view_class, "lock_name"))
        _decorator_of(view)
        if view.lock_name and not callable(view.lock_name):
            name_templates(view.lock_name)
        check_takes(view.lock_on_busy, inspect.Signature(), "lock_on_busy", *gets)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{dotted_path(view_class)}: {error}") from None


def _check_name(lock_name: Any) -> None:
    """Raise ``TypeError`` for a function without ``self``, which becomes a method of the class."""
    if isinstance(lock_name, FunctionType):
        try:
            inspect.signature(lock_name).bind_partial("self", "request")
        except TypeError:
            raise TypeError(
                "lock_name is a method here, which gets self before the request: write self, or "
                "staticmethod(...) around a function."
            ) from None


def _before_the_lock(view_class: type[View]) -> Iterator[Callable[..., Any]]:
    """Yield the ``dispatch`` methods that run before the one that takes the lock."""
    for one in view_class.__mro__:
        if one is LockedViewMixin:
            return
        if "dispatch" in vars(one):
            # A wrapper made by method_decorator() is judged by the method that it wraps.
            yield inspect.unwrap(vars(one)["dispatch"])


def _leaves_the_database_alone(dispatch: Callable[..., Any]) -> bool:
    """Whether it may run before the transaction begins: it is ours, or Django's access check."""
    return (
        dispatch is LockedViewMixin.dispatch
        or getattr(dispatch, "__module__", None) == "django.contrib.auth.mixins"
    )
