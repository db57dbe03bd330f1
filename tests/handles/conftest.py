"""The handle behaves alike on every backend, for threads and for coroutines."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(params=["default", "memory"])
def using(request: pytest.FixtureRequest) -> Any:
    """The alias of a backend: each test runs once for each."""
    return request.param
