"""Base class of the lock admin: templates, limits and the context that all pages share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from ..exceptions import InvalidLockBackend
from ..models import Lock
from ..operations.formatting import formats

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Lock]
else:
    _ModelAdmin = admin.ModelAdmin

__all__ = ["BaseLockAdmin", "for_viewers"]

# Deferred, since they need the whole page. The stubs of Django know only paths as text.
SCRIPTS: list[Any] = [
    forms.widgets.Script(f"django_redislock/{name}.js", defer=True)
    for name in ("live", "selection", "copy", "release")
]

View: TypeAlias = Callable[..., HttpResponse]


def for_viewers(view: View) -> View:
    """Refuse a page of the admin to users who may not see the locks. If ``LOCKS`` cannot be read,
    show a page with the error instead.
    """

    @wraps(view)
    def respond(
        page: BaseLockAdmin, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if not page.has_view_permission(request):
            raise PermissionDenied
        try:
            return view(page, request, *args, **kwargs)
        except InvalidLockBackend as error:
            context = {"title": _("Live locks"), "error": error}
            return page.render(request, page.error_template, context)

    return respond


class BaseLockAdmin(_ModelAdmin):
    """The part of the lock admin that its pages depend on."""

    list_per_page = 100
    # If the index alone cannot answer a query, at most this many full holds are read. A text is
    # searched for in at most look_through names of the index.
    look_at = 1000
    look_through = 10_000
    # How many locks can be selected at once if a search has found more than one page shows.
    # Django accepts at most 1000 fields in a form (``DATA_UPLOAD_MAX_NUMBER_FIELDS``).
    release_at_once = 500
    change_list_template = "admin/django_redislock/lock/change_list.html"
    summary_template = "admin/django_redislock/lock/includes/summary.html"
    refresh_template = "admin/django_redislock/lock/includes/list.html"
    error_template = "admin/django_redislock/lock/error.html"
    detail_template = "admin/django_redislock/lock/detail.html"
    hot_template = "admin/django_redislock/lock/hot.html"
    waits_template = "admin/django_redislock/lock/waits.html"
    released_template = "admin/django_redislock/lock/released.html"
    release_template = "admin/django_redislock/lock/release.html"

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Whether the user may see the locks and release them by force."""
        allowed = request.user.has_perm("django_redislock.release_lock")
        return allowed and self.has_view_permission(request)

    def render(
        self, request: HttpRequest, template: str, context: dict[str, Any]
    ) -> TemplateResponse:
        request.current_app = self.admin_site.name
        base = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "formats": formats(),
            "silence_format": _("No answer for %s"),
            "can_release": self.has_release_permission(request),
            "media": forms.Media(
                css={"all": ["django_redislock/admin.css"]},
                js=SCRIPTS,
            ),
        }
        return TemplateResponse(request, template, {**base, **context})
