"""Page that asks a person to try again later: its links, and where its looks come from."""

from __future__ import annotations

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

__all__ = ["try_later_page"]

BUILT_IN = Path(__file__).parents[1] / "templates/django_redislock/try_later.html"


def try_later_page(request: HttpRequest, title: str, detail: str, status: int, seconds: int) -> str:
    """The template ``<status>.html`` of the project, or else the one of this package."""
    again = escape_leading_slashes(request.get_full_path())
    is_safe = request.method in ("GET", "HEAD")
    context = {
        "title": title,
        "detail": detail,
        "status": status,
        "retry_after": seconds,
        # What was sent cannot be sent again by a link: it leads back to where it came from.
        "try_again_url": again if is_safe else "",
        "back_url": _page_before(request) or ("" if is_safe else again),
    }
    try:
        return get_template(f"{status:d}.html").render(context, request)
    except TemplateDoesNotExist:
        files = {"style_url": _static("try_later.css"), "script_url": _static("try_later.js")}
        return _built_in().render(Context(context | files))


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
