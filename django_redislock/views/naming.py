"""Names of the locks of views, with advice if the request lacks a value for the name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..fields import leads_into
from ..names import CallNames, UnusableName
from .responses import bad_request

__all__ = ["name_of_call"]

LOG_IN = (
    "No user is logged in: put login_required above locked_view (in REST framework, ask for the "
    "permission IsAuthenticated), or name the lock by a callable, for instance after the session "
    "key."
)
# The middleware that sets each attribute of the request.
MIDDLEWARE = {
    "user": "django.contrib.auth.middleware.AuthenticationMiddleware",
    "auser": "django.contrib.auth.middleware.AuthenticationMiddleware",
    "session": "django.contrib.sessions.middleware.SessionMiddleware",
    "site": "django.contrib.sites.middleware.CurrentSiteMiddleware",
}
# What a visitor sends; the last two are those of REST framework.
SENT = tuple(
    f"request.{attribute}["
    for attribute in ("GET", "POST", "FILES", "COOKIES", "headers", "data", "query_params")
)


def name_of_call(names: CallNames, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return the name or names for a call of the view, whose first argument is the request.

    Raises an ``UnusableName`` that says what the request lacks, or a ``bad_request`` if a visitor
    has not sent it, or has sent what no name can have.
    """
    request = args[0]
    if names.mention("request.user") and _is_anonymous(request):
        # Some attributes of an anonymous user have a value: its username is an empty string.
        raise UnusableName(f"The lock is named after request.user. {LOG_IN}", "request.user")
    try:
        return names.of(args, kwargs)
    except UnusableName as error:
        field = names.canonical(error.field)
        for attribute, middleware in MIDDLEWARE.items():
            if leads_into(field, f"request.{attribute}") and not hasattr(request, attribute):
                raise UnusableName(f"{error} Write {middleware} in MIDDLEWARE.", error.field) from (
                    error.__cause__
                )
        if field.startswith(SENT):
            raise bad_request(request, str(error)) from error
        if error.is_missing and leads_into(field, "request.user"):
            raise UnusableName(f"{error} {LOG_IN}", error.field) from None
        raise


def _is_anonymous(request: Any) -> bool:
    if not hasattr(request, "user"):
        return False
    return not getattr(request.user, "is_authenticated", request.user is not None)
