"""Fixtures for tests with their own servers, proxies and processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_redislock.testing.servers import EmbeddedServer
from tests.support.places import Place
from tests.support.processes import Workers
from tests.support.proxy import Proxy
from tests.support.tls import Certificates

__all__ = [
    "UsePlace",
    "alias",
    "certificates",
    "own_server",
    "place",
    "proxy",
    "tls_options",
    "use",
    "workers",
]

UsePlace = Callable[..., Place]


@pytest.fixture(params=["default", "memory"])
def alias(request: pytest.FixtureRequest) -> str:
    """The alias of a lock backend. Decorators must behave alike on each."""
    return str(request.param)


@pytest.fixture
def use(settings: Any) -> UsePlace:
    """Return a function that makes this process keep its locks at a place."""

    def use(url: str, **options: Any) -> Place:
        place = Place(url, **options)
        for setting, value in place.settings().items():
            setattr(settings, setting, value)
        return place

    return use


@pytest.fixture
def place(use: UsePlace, redis_url: str) -> Place:
    """A place on the suite's server with its own key prefix."""
    return use(redis_url)


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A server that only this test uses."""
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    """A proxy in front of the suite's server."""
    with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Processes that end with the test."""
    with Workers() as workers:
        yield workers


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A certificate authority for the tests, and the certificates that it has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls_options(certificates: Certificates) -> dict[str, Any]:
    """The options by which a connection shows its certificate and trusts the server's."""
    certificate, key = certificates.client
    return {
        "ssl_ca_certs": certificates.authority,
        "ssl_certfile": certificate,
        "ssl_keyfile": key,
    }
