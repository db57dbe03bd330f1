"""Pages of the admin, found in its URLs, so that new pages are tested, too."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from django_redislock.models import Lock
from tests.admin.pages import page, references

PREFIX = "django_redislock_lock_"
# Pages that take a POST: the first changes something, the other sends much data.
RELEASE, REFRESH = "release", "refresh"
POSTED = (RELEASE, REFRESH)


def views() -> list[str]:
    """The pages of the live locks."""
    urls = admin.site._registry[Lock].get_urls()
    return [url.name.removeprefix(PREFIX) for url in urls if url.name]


def address(view: str, name: str, using: str = "memory") -> str:
    """The address of a page, which may be about the lock `name`."""
    arguments = [quote(f"{using}:{name}")] if view == "change" else []
    return reverse(f"admin:{PREFIX}{view}", args=arguments)


def ask(client: Client, view: str, name: str, holds: list[str] | None = None) -> Any:
    """Request a page as other pages do. `holds` are references, as in the list."""
    path, holds = address(view, name), holds or []
    if view == RELEASE:
        return client.post(path, {"hold": holds})
    if view == REFRESH:
        return client.post(path, {"shown": json.dumps(holds), "total": "1"})
    return client.get(path)


def held(client: Client) -> list[str]:
    """References of all holds, as in the list for users who may release."""
    return references(page(client))
