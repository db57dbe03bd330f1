"""Live holds for tests that show and clear them, and a Redis that is down."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from django_redislock import lock_backends
from django_redislock.backends.base import Busy, Claim, Entry, Grant, Hold, Holder


def hold(
    name: str, using: str = "memory", *, lease: float = 60, limit: int = 1, **holder: Any
) -> str:
    """Hold a name as another process would, with no renewal. Returns the token."""
    token = secrets.token_hex(16)
    assert isinstance(claim(name, token, using, lease=lease, limit=limit, **holder), Grant)
    return token


def queue(name: str, using: str = "memory", **holder: Any) -> None:
    """Wait for a name that is held."""
    assert isinstance(claim(name, secrets.token_hex(16), using, stay=60, **holder), Busy)


def claim(
    name: str,
    token: str,
    using: str,
    *,
    lease: float = 60,
    limit: int = 1,
    stay: float = 0,
    **holder: Any,
) -> Grant | Busy:
    packed = Holder(**{"host": "web-1", "pid": 77, "thread": "main", **holder}).pack()
    return lock_backends[using].acquire(Claim(name, token, limit, lease, packed), stay)


def is_held(name: str, token: str, using: str = "memory") -> bool:
    holds, _ = lock_backends[using].inspect(name)
    return token in [one.token for one in holds]


def aged(monkeypatch: pytest.MonkeyPatch, using: str, ages: dict[str, float], **shown: Any) -> None:
    """Let the holds of these names seem to have begun this many seconds ago, with these fields.

    Otherwise a test would have to wait, and then to look before the lease is over.
    """
    backend = lock_backends[using]
    original = backend.look_up

    def look_up(entries: Sequence[Entry]) -> list[Hold]:
        return [
            replace(one, age=float(ages[one.name]), **shown) if one.name in ages else one
            for one in original(entries)
        ]

    monkeypatch.setattr(backend, "look_up", look_up)


def fall_silent(monkeypatch: pytest.MonkeyPatch, using: str, *names: str) -> None:
    """Let these holds, of 60 seconds, seem not to have been renewed for most of their lease."""
    aged(monkeypatch, using, dict.fromkeys(names, 50.0), remaining=10.0)


def add_alias(settings: Any, alias: str, **entry: Any) -> None:
    """Add a backend. This ends all locks in memory."""
    locks = copy.deepcopy(settings.LOCKS)
    locks[alias] = {"KEY_PREFIX": locks["default"]["KEY_PREFIX"], **entry}
    settings.LOCKS = locks


def without_redis(settings: Any, alias: str) -> None:
    """Add an alias whose Redis does not run."""
    settings.CACHES = {
        **settings.CACHES,
        "nowhere": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",  # a port on which nothing listens
            "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 1},
        },
    }
    add_alias(settings, alias, CACHE="nowhere")
