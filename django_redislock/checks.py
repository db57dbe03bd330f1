"""System checks of the settings, the backends, and the classes that configure a lock."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.core import checks
from django.urls import get_resolver

from .attributes import unknown_attributes
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
    """Check everything that needs no connection."""
    return check_backends(deploy=False)


def check_servers(**kwargs: Any) -> Sequence[checks.CheckMessage]:
    """Check the servers of the backends."""
    return check_backends(deploy=True)


def check_classes(**kwargs: Any) -> Sequence[checks.CheckMessage]:
    """Check views, commands and models for attributes about locks that have no effect."""
    # Loading the URLs imports the views. Errors in the URLs are left to Django's own check.
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
    """Return the messages of all backends of ``LOCKS``."""
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
