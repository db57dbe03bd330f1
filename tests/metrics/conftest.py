"""Fixtures for tests of figures on both backends."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import lock_backends
from django_redislock.backends.base import BaseLockBackend
from django_redislock.local.background import background
from tests.support.places import Place


@pytest.fixture(params=["default", "memory"])
def using(request: pytest.FixtureRequest) -> Any:
    """The alias of a backend: each test runs once for each."""
    return request.param


@pytest.fixture
def backend(using: str, place: Place, settings: Any) -> BaseLockBackend:
    """A backend that keeps its figures at the place of the test."""
    settings.LOCKS = {
        **settings.LOCKS,
        "memory": {"BACKEND": "django_redislock.backends.memory.MemoryLockBackend"},
    }
    return lock_backends[using]


@pytest.fixture(autouse=True)
def _nothing_left_to_report() -> None:
    """Report the counts of other tests now, and not in the middle of this one."""
    background.end(30)
