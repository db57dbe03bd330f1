from __future__ import annotations

from typing import cast

import pytest


@pytest.fixture(params=["default", "memory"])
def alias(request: pytest.FixtureRequest) -> str:
    """A lock backend: what decorators do must not depend on it."""
    return cast("str", request.param)
