"""Fixtures for tests with servers, proxies and processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_redislock.testing.servers import EmbeddedServer
from tests.support.places import Place
from tests.support.processes import Workers
from tests.support.proxy import Proxy

__all__ = ["UsePlace", "alias", "own_server", "place", "proxy", "use", "workers"]

UsePlace = Callable[..., Place]


@pytest.fixture(params=["default", "memory"])
def alias(request: pytest.FixtureRequest) -> str:
    """A lock backend: what decorators do must not depend on it."""
    return str(request.param)


@pytest.fixture
def use(settings: Any) -> UsePlace:
    """Return a function that lets this process, too, keep its locks at a place."""

    def use(url: str, **options: Any) -> Place:
        place = Place(url, **options)
        for setting, value in place.settings().items():
            setattr(settings, setting, value)
        return place

    return use


@pytest.fixture
def place(use: UsePlace, redis_url: str) -> Place:
    """A prefix of its own on the suite's server."""
    return use(redis_url)


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A server that only this test knows."""
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    """A proxy before the suite's server."""
    with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Processes that end with the test."""
    with Workers() as workers:
        yield workers
