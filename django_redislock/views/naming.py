"""Names of the locks of views, with advice if the request lacks a value for the name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import Signature
from typing import Any

from ..fields import leads_into, root
from ..names import CallNames, NameSource, UnusableName
from ..signatures import ANY_NUMBER
from .responses import bad_request

__all__ = ["ViewNames"]

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


class ViewNames(CallNames):
    """Names of the locks of a view, whose first argument templates call ``request``."""

    def __init__(self, source: NameSource, signature: Signature, where: str) -> None:
        super().__init__(source, signature, where, first="request")
        # What the view itself calls its first argument.
        own = next(iter(signature.parameters.values()), None)
        self._own_name = own.name if own is not None and own.kind not in ANY_NUMBER else "request"
        self._mention_user = self.mention("request.user")

    @property
    def may_query(self) -> bool:
        """Whether making them may query the database, which a coroutine must not do.

        The user and the session come from there. A function that makes the name usually looks at
        the user as well.
        """
        is_function = self.made_by is not None and not self.is_async
        return is_function or self._mention_user or self.mention("request.session")

    def mention(self, field: str) -> bool:
        """Whether a template uses ``field``, such as ``request.user``, or something inside it."""
        return any(leads_into(self._canonical(used), field) for used in self.fields)

    def of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return the name or names for a call of the view.

        Raises an ``UnusableName`` that says what the request lacks, or a ``bad_request`` if a
        visitor has not sent it, or has sent what no name can have.
        """
        request = args[0]
        if self._mention_user and _is_anonymous(request):
            # Some attributes of an anonymous user have a value: its username is an empty string.
            raise UnusableName(f"The lock is named after request.user. {LOG_IN}", "request.user")
        try:
            return super().of(args, kwargs)
        except UnusableName as error:
            field = self._canonical(error.field)
            for attribute, middleware in MIDDLEWARE.items():
                if leads_into(field, f"request.{attribute}") and not hasattr(request, attribute):
                    raise UnusableName(
                        f"{error} Write {middleware} in MIDDLEWARE.", error.field
                    ) from error.__cause__
            if field.startswith(SENT):
                raise bad_request(request, str(error)) from error
            raise

    def _canonical(self, field: str) -> str:
        """Return the field, with the first argument called ``request``."""
        is_first = root(field) == self._own_name
        return f"request{field[len(self._own_name) :]}" if is_first else field


def _is_anonymous(request: Any) -> bool:
    if not hasattr(request, "user"):
        return False
    return not getattr(request.user, "is_authenticated", request.user is not None)
