"""The handle behaves alike on every backend, for threads and for coroutines."""

import pytest

from tests.support.fixtures import own_server, place, proxy, use, workers

__all__ = ["own_server", "place", "proxy", "use", "workers"]


@pytest.fixture(params=["default", "memory"])
def using(request):
    """The alias of a backend: each test runs once for each."""
    return request.param
