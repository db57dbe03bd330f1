"""``@locked_view``: a view that one request at a time may run; others get a busy answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import classonlymethod
from django.views.generic import View

from ..classes import check_attributes, check_reached
from ..conf import DEFAULT_LOCK_ALIAS, Duration
from ..names import NameSource, dotted_path
from ..options import CallOptions, check_options, documented
from .atomic_requests import take_over_atomic_requests
from .viewlock import ViewLock, refuse_class

if TYPE_CHECKING:
    from typing_extensions import Unpack

    _View = View
else:
    _View = object

__all__ = ["LockedViewMixin", "locked_view"]

V = TypeVar("V", bound=Callable[..., Any])

STATUSES = (423, 409, 429, 503)
KNOWN_METHODS = frozenset(method.upper() for method in View.http_method_names)


@documented(wait=0)
def locked_view(
    name: NameSource,
    *,
    status: int = 423,
    methods: Collection[str] | None = None,
    on_busy: Callable[..., Any] | None = None,
    on_unavailable: Literal["refuse", "proceed"] = "refuse",
    **options: Unpack[CallOptions],
) -> Callable[[V], V]:
    """Run the view under a lock; a request that finds it busy is answered at once.

    ``name``: a template such as ``"event:{event_id}"`` or ``"checkout:{request.user.pk}"``, whose
    fields are ``request`` and the view's arguments; a list of them; or a callable that gets the
    same arguments as the view and returns the name. The view finds the handle in ``request.lock``.

    ``wait``: how many seconds a request may queue, by default none. ``status``: 423, 409, 429 or
    503; the answer has ``Retry-After`` and is HTML, from the template ``<status>.html`` if there is
    one, or JSON after RFC 9457. ``on_busy``: a callable that gets the request and the error, and
    returns the response instead. ``methods``: takes the lock for these HTTP methods only.
    ``on_unavailable``: what is done when the locks' server does not answer; ``"refuse"`` answers
    503, ``"proceed"`` runs the view without the lock, and ``request.lock`` is None. ``label`` may
    be a callable of the view's arguments.

    For function views and coroutine views, ``as_view()``, ``method_decorator``, and the views of
    Django REST Framework, whose own exceptions and renderers then answer. A streamed response keeps
    the lock until it is sent or closed.

    Raises ``ValueError`` or ``TypeError`` for what makes no sense, when decorating.
    """
    refuse_class(name)  # the decorator was written without its name
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(map(str, STATUSES))}, not {status!r}.")
    if on_unavailable not in ("refuse", "proceed"):
        raise ValueError(f"on_unavailable must be 'refuse' or 'proceed', not {on_unavailable!r}.")
    if on_busy is not None and not callable(on_busy):
        raise TypeError(
            "on_busy must be a callable that gets the request and the error and returns the "
            f"response, not {on_busy!r}."
        )
    options.setdefault("wait", 0)
    check_options(options, others=("status", "methods", "on_busy", "on_unavailable"))
    proceeds = on_unavailable == "proceed"
    return ViewLock(name, _checked_methods(methods), status, on_busy, proceeds, options)


def _checked_methods(methods: Collection[str] | None) -> frozenset[str] | None:
    if methods is None:
        return None
    if not isinstance(methods, (list, tuple, set, frozenset)) or not methods:
        raise TypeError(f'methods must be a list such as ["POST"], not {methods!r}.')
    upper = frozenset(str(method).upper() for method in methods)
    if unknown := sorted(upper - KNOWN_METHODS):
        raise ValueError(
            f"methods has {', '.join(unknown)}, which Django's views do not know: they would run "
            f"without the lock. Known are {', '.join(sorted(KNOWN_METHODS))}."
        )
    # Django answers HEAD by what answers GET.
    return upper | {"HEAD"} if "GET" in upper else upper


class LockedViewMixin(_View):
    """A class view that one request at a time may run; the attributes are ``locked_view``'s.

    ``lock_name`` is a template, or a method that gets the same arguments as ``dispatch``. Goes
    before ``View`` and after what decides who may come in, such as ``LoginRequiredMixin``.
    """

    lock_name: NameSource = ""
    lock_wait: Duration | None = 0
    lock_status: int = 423
    lock_methods: Collection[str] | None = None
    lock_on_busy: Callable[..., Any] | None = None
    lock_on_unavailable: Literal["refuse", "proceed"] = "refuse"
    lock_using: str = DEFAULT_LOCK_ALIAS
    lock_lease: Duration | None = None
    lock_renew: bool | None = None
    lock_max_hold: Duration | None = None
    lock_min_hold: Duration = 0
    lock_limit: int = 1
    lock_shared: bool = False
    lock_reentrant: bool = False
    lock_label: str | Callable[..., str] = ""
    lock_on_lost: Callable[[Any], object] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_attributes(cls, LockedViewMixin)
        check_reached(cls, LockedViewMixin, "dispatch")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        decorate = locked_view(
            self.lock_name,
            wait=self.lock_wait,
            status=self.lock_status,
            methods=self.lock_methods,
            on_busy=self.lock_on_busy,
            on_unavailable=self.lock_on_unavailable,
            using=self.lock_using,
            lease=self.lock_lease,
            renew=self.lock_renew,
            max_hold=self.lock_max_hold,
            min_hold=self.lock_min_hold,
            limit=self.lock_limit,
            shared=self.lock_shared,
            reentrant=self.lock_reentrant,
            label=self.lock_label,
            on_lost=self.lock_on_lost,
        )
        return decorate(super().dispatch)(request, *args, **kwargs)

    @classonlymethod
    def as_view(cls, *args: Any, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        if not initkwargs.get("lock_name", cls.lock_name):
            raise ImproperlyConfigured(f"{dotted_path(cls)} needs the attribute lock_name.")
        if not issubclass(cls, View):
            raise TypeError(
                f"LockedViewMixin goes before a view: class {cls.__name__}(LockedViewMixin, View)."
            )
        view = super().as_view(*args, **initkwargs)
        # Not on dispatch(): what one view is marked with there would be true of all.
        if all(_leaves_the_database_alone(one) for one in _before_the_lock(cls)):
            take_over_atomic_requests(view)
        return view


def _before_the_lock(view_class: type[View]) -> Iterator[Callable[..., Any]]:
    """The ``dispatch`` methods that run before the one which takes the lock."""
    for one in view_class.__mro__:
        if one is LockedViewMixin:
            return
        if "dispatch" in vars(one):
            # What method_decorator() has put there calls the method that it names.
            yield inspect.unwrap(vars(one)["dispatch"])


def _leaves_the_database_alone(dispatch: Callable[..., Any]) -> bool:
    """Whether it may run before the transaction begins: it is the lock's, or Django's own door."""
    return (
        dispatch is LockedViewMixin.dispatch
        or getattr(dispatch, "__module__", None) == "django.contrib.auth.mixins"
    )
