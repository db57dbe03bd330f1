"""What a process has counted, and what all have, on either backend."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock.local.background import background


@pytest.fixture(params=["default", "memory"])
def using(request: pytest.FixtureRequest) -> Any:
    """The alias of a backend: each test runs once for each."""
    return request.param


@pytest.fixture(autouse=True)
def _nothing_left_to_tell() -> None:
    """What other tests have counted is not told in the middle of this one."""
    background.end(30)
