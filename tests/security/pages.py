"""Every page of the admin, found in its URLs: one that is added is tested, too."""

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
# What a page takes besides nothing: the first changes something, the other asks for much.
RELEASE, REFRESH = "release", "refresh"
POSTED = (RELEASE, REFRESH)


def views() -> list[str]:
    """The pages of the live locks."""
    urls = admin.site._registry[Lock].get_urls()
    return [url.name.removeprefix(PREFIX) for url in urls if url.name]


def address(view: str, name: str, using: str = "memory") -> str:
    """The address of a page; `name` is the lock that it is about, if it is about one."""
    arguments = [quote(f"{using}:{name}")] if view == "change" else []
    return reverse(f"admin:{PREFIX}{view}", args=arguments)


def ask(client: Client, view: str, name: str, holds: list[str] | None = None) -> Any:
    """Ask for a page as pages do. `holds` are references, as the list has them."""
    path, holds = address(view, name), holds or []
    if view == RELEASE:
        return client.post(path, {"hold": holds})
    if view == REFRESH:
        return client.post(path, {"shown": json.dumps(holds), "total": "1"})
    return client.get(path)


def held(client: Client) -> list[str]:
    """References of all holds, as the list has them for who may release."""
    return references(page(client))
