"""Fixtures for tests that run with each backend."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import lock


@pytest.fixture(params=["default", "memory"])
def using(request: pytest.FixtureRequest) -> Any:
    """The alias of a backend: each test runs once for each."""
    return request.param


@pytest.fixture
def make(using: str) -> Any:
    """A function that makes a handle of that backend."""

    def make(name: str = "a", **options: Any) -> Any:
        return lock(name, using=using, **options)

    return make
