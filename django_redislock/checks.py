"""System checks: the settings, and then each backend's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core import checks

from .exceptions import InvalidLockBackend
from .handler import lock_backends

__all__ = ["check_backends", "check_settings", "register"]


def register() -> None:
    """Register the checks; done once, when the app is ready."""
    checks.register(check_settings, "locks")
    checks.register(check_servers, "locks", deploy=True)


def check_settings(**kwargs: Any) -> Sequence[checks.CheckMessage]:
    """What can be seen without a connection."""
    return check_backends(deploy=False)


def check_servers(**kwargs: Any) -> Sequence[checks.CheckMessage]:
    """What the servers have to say."""
    return check_backends(deploy=True)


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
