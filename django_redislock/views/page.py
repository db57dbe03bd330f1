"""Page that asks a person to try again later: its links, and where its looks come from."""

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
    """The template ``<status>.html`` of the project, or else the one of this package.

    ``error``: the lock was busy, and this may tell how long that takes.
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
        # What was sent cannot be sent again by a link: it leads back to where it came from.
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
    """How many others were waiting and how long it takes; empty where nothing is known of that.

    The request itself does not wait: it never did, or has left the queue.
    """
    if error is None or error.position is None or error.estimated_wait is None:
        return ""
    others, time = error.position - 1, _rounded(error.estimated_wait)
    if not others:
        # Those who came while it waited are not counted, so it does not say that nobody waits.
        return _("It usually takes about %(time)s.") % {"time": time}
    text = ngettext(
        "%(count)d other was waiting already; it usually takes about %(time)s.",
        "%(count)d others were waiting already; it usually takes about %(time)s.",
        others,
    )
    return text % {"count": others, "time": time}


def _rounded(seconds: float) -> str:
    """A length of time in one unit: nobody who waits wants to read two."""
    if seconds < 2 * MINUTE:
        return _("%(count)d s") % {"count": max(1, math.ceil(seconds))}
    return _("%(count)d min") % {"count": math.ceil(seconds / MINUTE)}


def _page_before(request: HttpRequest) -> str:
    """The page of this site that the person comes from, if the browser has named one."""
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
    """The address of a static file of ours; empty where it would not be found."""
    if not (apps.is_installed("django_redislock") and settings.STATIC_URL):
        return ""
    try:
        return static(f"django_redislock/{name}")
    except (ValueError, ImproperlyConfigured, OSError):
        return ""  # they were not collected


@lru_cache(maxsize=1)
def _built_in() -> Template:
    # As Django's own error pages: found whatever the project's TEMPLATES say.
    engine = Engine(libraries={"i18n": "django.templatetags.i18n"})
    return engine.from_string(BUILT_IN.read_text(encoding="utf-8"))
