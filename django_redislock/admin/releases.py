"""Releases by force, from the admin's log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.paginator import Page, Paginator
from django.http import HttpRequest

from ..models import Lock
from ..operations.audit import object_id_of

if TYPE_CHECKING:
    from django.contrib.admin.models import LogEntry
    from django.db.models import QuerySet

__all__ = ["page_of_releases", "releases_of"]

PER_PAGE = 100


def releases_of(address: str) -> QuerySet[LogEntry]:
    """Return the releases of one name, newest first."""
    name = object_id_of(address)
    # For MariaDB and MySQL "Order:1" equals "order:1 ", but does not start and end with it.
    same = {"object_id": name, "object_id__startswith": name, "object_id__endswith": name}
    return _releases().filter(**same)


def page_of_releases(request: HttpRequest) -> Page[LogEntry]:
    """Return one page of all releases, newest first."""
    return Paginator(_releases(), PER_PAGE).get_page(request.GET.get("p"))


def _releases() -> QuerySet[LogEntry]:
    from django.contrib.admin.models import LogEntry
    from django.contrib.contenttypes.models import ContentType

    entries = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(Lock))
    return entries.select_related("user").order_by("-action_time", "-pk")
