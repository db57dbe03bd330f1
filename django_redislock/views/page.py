"""Page that asks a person to try again later: its context, links and style sheet."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.exceptions import DisallowedHost, ImproperlyConfigured
from django.http import HttpRequest
from django.template import Engine, Template, TemplateDoesNotExist
from django.template.context import Context
from django.template.loader import get_template
from django.templatetags.static import static
from django.utils.http import escape_leading_slashes, url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _, ngettext

from ..exceptions import LockNotAcquired

__all__ = ["try_later_page"]

MINUTE = 60

BUILT_IN = Path(__file__).parents[1] / "templates/django_redislock/try_later.html"


def try_later_page(
    request: HttpRequest,
    title: str,
    detail: str,
    status: int,
    seconds: int,
    error: LockNotAcquired | None = None,
) -> str:
    """Render the project's template ``<status>.html``, or else the one of this package.

    ``error``: the error of a busy lock, which may have an estimate of the wait.
    """
    again = escape_leading_slashes(request.get_full_path())
    is_safe = request.method in ("GET", "HEAD")
    context = {
        "title": title,
        "detail": detail,
        "status": status,
        "retry_after": seconds,
        "retry_after_text": _rounded(seconds),
        "position": error and error.position,
        "estimated_wait": error and error.estimated_wait,
        "queue_text": _queue_text(error),
        # A link cannot repeat an unsafe request, so it leads back to the page before.
        "try_again_url": again if is_safe else "",
        "back_url": _page_before(request) or ("" if is_safe else again),
    }
    try:
        template = get_template(f"{status:d}.html")
    except TemplateDoesNotExist:
        files = {"style_url": _static("try_later.css"), "script_url": _static("try_later.js")}
        return _built_in().render(Context(context | files))
    return template.render(context, request)


def _queue_text(error: LockNotAcquired | None) -> str:
    """Return how many others were waiting and how long it takes, or "" if this is unknown.

    The request itself is not in the queue: it never was, or has left it.
    """
    if error is None or error.position is None or error.estimated_wait is None:
        return ""
    others, time = error.position - 1, _rounded(error.estimated_wait)
    if not others:
        # Later waiters are not counted, so the text does not say that there are none.
        return _("It usually takes about %(time)s.") % {"time": time}
    text = ngettext(
        "%(count)d other was waiting already; it usually takes about %(time)s.",
        "%(count)d others were waiting already; it usually takes about %(time)s.",
        others,
    )
    return text % {"count": others, "time": time}


def _rounded(seconds: float) -> str:
    """Return a length of time in a single unit, which is easy to read."""
    if seconds < 2 * MINUTE:
        return _("%(count)d s") % {"count": max(1, math.ceil(seconds))}
    return _("%(count)d min") % {"count": math.ceil(seconds / MINUTE)}


def _page_before(request: HttpRequest) -> str:
    """Return the page of this site that the person comes from, if the browser sent it."""
    before = request.headers.get("referer", "")
    try:
        host, here = request.get_host(), request.build_absolute_uri()
    except DisallowedHost:
        return ""
    is_ours = url_has_allowed_host_and_scheme(before, {host}, require_https=request.is_secure())
    if not is_ours or (before == here and request.method in ("GET", "HEAD")):
        return ""
    return before


def _static(name: str) -> str:
    """Return the URL of one of our static files, or "" if it would not be found."""
    if not (apps.is_installed("django_redislock") and settings.STATIC_URL):
        return ""
    try:
        return static(f"django_redislock/{name}")
    except (ValueError, ImproperlyConfigured, OSError):
        return ""  # the static files were not collected


@lru_cache(maxsize=1)
def _built_in() -> Template:
    # Like Django's own error pages, it is found whatever the project's TEMPLATES say.
    engine = Engine(libraries={"i18n": "django.templatetags.i18n"})
    return engine.from_string(BUILT_IN.read_text(encoding="utf-8"))
