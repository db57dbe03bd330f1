"""``@locked_view``: a view that one request at a time may run; others get a busy response."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from django.views.generic import View

from ..exceptions import LockNotAcquired
from ..functions.refused import Decorator, refuse_bare
from ..names import NameSource
from ..options import CallOptions, check_options, documented
from .inspection import NAME_IT, refuse_class
from .responses import busy_response
from .viewlock import ViewLock

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["locked_view"]

V = TypeVar("V", bound=Callable[..., Any])

STATUSES = (423, 409, 429, 503)
KNOWN_METHODS = frozenset(method.upper() for method in View.http_method_names)


@documented(wait=0)
def locked_view(
    name: NameSource,
    *,
    status: int = 423,
    methods: Collection[str] | None = None,
    on_busy: Callable[[Any, LockNotAcquired], Any] | None = None,
    on_unavailable: Literal["refuse", "proceed"] = "refuse",
    **options: Unpack[CallOptions],
) -> Callable[[V], V]:
    """Run the view under a lock. By default, requests that find it busy are answered at once.

    ``name``: a template such as ``"event:{event_id}"`` or ``"checkout:{request.user.pk}"``, whose
    fields are ``request`` and the view's arguments; a list of templates; or a callable that gets
    the view's arguments and returns the name. In the view, ``request.lock`` is the handle.

    ``wait``: how many seconds a request may queue, by default none. ``status``: the status of the
    busy response: 423, 409, 429 or 503. This response has a ``Retry-After`` header and is HTML,
    from the template ``<status>.html`` if there is one, or JSON as in RFC 9457. ``on_busy``: a
    callable that gets the request and the error, and returns the response instead. ``methods``:
    take the lock for these HTTP methods only, by default for all but OPTIONS. ``on_unavailable``:
    what to do if the lock server does not answer. ``"refuse"`` responds with 503; ``"proceed"``
    runs the view without the lock, and ``request.lock`` is None. ``label`` may be a callable that
    gets the view's arguments.

    The decorator works on function views and coroutine views, the result of ``as_view()``, methods
    with ``method_decorator``, and views of Django REST Framework, where its own exceptions and
    renderers make the response. A streamed response keeps the lock until it is sent or closed.

    Raises ``ValueError`` or ``TypeError`` for invalid arguments, when decorating.
    """
    refuse_class(name)  # the decorator was written without its name
    refuse_bare(name, "@locked_view", NAME_IT)
    if not isinstance(status, int) or status not in STATUSES:
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
    answer = partial(busy_response, status=status) if on_busy is None else on_busy
    proceeds = on_unavailable == "proceed"
    decorate = ViewLock(name, _checked_methods(methods), answer, proceeds, options)
    return Decorator(decorate, "locked_view", 'lock("event:7")')


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
    # Django's class views answer HEAD with their handler for GET.
    return upper | {"HEAD"} if "GET" in upper else upper
