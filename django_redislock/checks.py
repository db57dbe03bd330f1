"""System checks: the settings, each backend's own, and classes that say how they lock."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core import checks
from django.urls import get_resolver

from .classes import unknown_attributes
from .exceptions import InvalidLockBackend
from .handler import lock_backends
from .names import dotted_path

__all__ = ["check_backends", "check_classes", "check_settings", "register"]


def register() -> None:
    """Register the checks; done once, when the app is ready."""
    checks.register(check_settings, "locks")
    checks.register(check_classes, "locks")
    checks.register(check_servers, "locks", deploy=True)


def check_settings(**kwargs: Any) -> Sequence[checks.CheckMessage]:
    """What can be seen without a connection."""
    return check_backends(deploy=False)


def check_servers(**kwargs: Any) -> Sequence[checks.CheckMessage]:
    """What the servers have to say."""
    return check_backends(deploy=True)


def check_classes(**kwargs: Any) -> Sequence[checks.CheckMessage]:
    """What views, commands and models say that none of them reads."""
    if getattr(settings, "ROOT_URLCONF", None):
        # Views are there when the URLs are. What is wrong with those is for Django's own check.
        with suppress(Exception):
            _ = get_resolver().url_patterns
    return [
        checks.Warning(
            f"{dotted_path(owner)} has the attribute {name}, which says nothing about its lock.",
            hint="Correct or rename it; if it is your own, write the id of this check in "
            "SILENCED_SYSTEM_CHECKS.",
            obj=owner,
            id="locks.W006",
        )
        for owner, names in sorted(
            unknown_attributes.items(), key=lambda item: dotted_path(item[0])
        )
        for name in names
    ]


def check_backends(*, deploy: bool) -> Sequence[checks.CheckMessage]:
    """The messages of all backends of ``LOCKS``."""
    try:
        aliases = list(lock_backends)
    except InvalidLockBackend as error:
        return [] if deploy else [_wrong(error)]
    messages: list[checks.CheckMessage] = []
    for alias in aliases:
        try:
            messages += lock_backends[alias].check(deploy=deploy)
        except InvalidLockBackend as error:
            messages += [] if deploy else [_wrong(error)]
    return messages


def _wrong(error: InvalidLockBackend) -> checks.Error:
    return checks.Error(str(error), id="locks.E001")
