"""Pages of the live locks in Django's admin."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from ..exceptions import InvalidLockBackend, LockUnavailable, readable
from ..handler import lock_backends
from ..models import Lock
from ..operations.summary import summary_of
from .answer import answers
from .base import BaseLockAdmin, for_viewers
from .detail import Detail
from .exports import exported
from .hot import HotNames
from .live import LiveLocks
from .references import address_of, name_at
from .refresh import ShownLocks
from .release import ReleaseView
from .releases import page_of_releases, releases_of
from .waits import WaitsPage

__all__ = ["LockAdmin"]


@admin.register(Lock)
class LockAdmin(BaseLockAdmin):
    """The live locks of all backends. They can be viewed and released by force, but not edited."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="django_redislock_lock_changelist"),
            path("hot/", wrap(self.hot_view), name="django_redislock_lock_hot"),
            path("waits/", wrap(self.waits_view), name="django_redislock_lock_waits"),
            path("refresh/", wrap(self.refresh_view), name="django_redislock_lock_refresh"),
            path("export/", wrap(self.export_view), name="django_redislock_lock_export"),
            path("released/", wrap(self.released_view), name="django_redislock_lock_released"),
            path("summary/", wrap(self.summary_view), name="django_redislock_lock_summary"),
            path(
                "release/",
                _outside_transactions(wrap(self.release_view)),
                name="django_redislock_lock_release",
            ),
            path(
                "<path:object_id>/change/",
                wrap(self.change_view),
                name="django_redislock_lock_change",
            ),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Lock | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Lock | None = None) -> bool:
        return False

    @method_decorator(require_safe)
    @for_viewers
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        live = LiveLocks(self, request.GET)
        context = {
            "title": _("Live locks"),
            "cl": live,
            "answers": answers(live.counts()),
            # Without this, Django's template adds an inline style, which a strict CSP forbids.
            "actions_on_top": True,
            **(extra_context or {}),
        }
        return self.render(request, self.change_list_template, context)

    @method_decorator(require_safe)
    @for_viewers
    def export_view(self, request: HttpRequest) -> HttpResponse:
        """Export the rows of a list as a file, with all fields except the token."""
        return exported(self, request)

    @method_decorator(require_safe)
    @for_viewers
    def released_view(self, request: HttpRequest) -> TemplateResponse:
        """Show all releases by force, newest first."""
        context = {"title": _("Released by force"), "page": page_of_releases(request)}
        return self.render(request, self.released_template, context)

    @method_decorator(require_safe)
    @for_viewers
    def summary_view(self, request: HttpRequest) -> TemplateResponse:
        """Render the complete summary above the list. It costs more than the list itself."""
        context = {"answers": answers(summary_of(lock_backends))}
        return self.render(request, self.summary_template, context)

    @method_decorator(require_POST)
    @for_viewers
    def refresh_view(self, request: HttpRequest) -> TemplateResponse:
        """Render the rows of a page anew. A POST, since there may be many long names."""
        return self.render(request, self.refresh_template, {"cl": ShownLocks(self, request.POST)})

    @method_decorator(require_safe)
    @for_viewers
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> TemplateResponse:
        """Show one name. It is a "change" page only because the admin links to pages of that URL
        name; nothing can be changed on it.
        """
        address = unquote(object_id)
        try:
            alias, name = name_at(address)
        except ValueError:
            raise Http404 from None
        detail = error = None
        try:
            detail = Detail.of(alias, name)
        except (LockUnavailable, InvalidLockBackend) as reason:
            error = reason
        context = {
            "title": readable(name),
            "alias": alias,
            # ASCII only, so that control characters in a name cannot affect the page.
            "name_as_json": json.dumps(name),
            "detail": detail,
            "error": error,
            "history": releases_of(address_of(alias, name))[:10],
            **(extra_context or {}),
        }
        return self.render(request, self.detail_template, context)

    @method_decorator(require_safe)
    @for_viewers
    def hot_view(self, request: HttpRequest) -> TemplateResponse:
        """Show the figures of the last hour by family."""
        context = {"title": _("Hot names"), "hot": HotNames(request)}
        return self.render(request, self.hot_template, context)

    @method_decorator(require_safe)
    @for_viewers
    def waits_view(self, request: HttpRequest) -> TemplateResponse:
        """Show which holders and waiters wait for each other, and the deadlocks among them."""
        context = {"title": _("Who waits for whom"), "page": WaitsPage()}
        return self.render(request, self.waits_template, context)

    @for_viewers
    def release_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for confirmation, then release by force the holds that were shown."""
        if not self.has_release_permission(request):
            raise PermissionDenied
        return ReleaseView(self, request).respond()


def _outside_transactions(view: Any) -> Any:
    # With ATOMIC_REQUESTS, a later error would roll back the log entries of completed releases.
    for alias in connections:
        view = transaction.non_atomic_requests(alias)(view)
    return view
