"""Servers of the suite: one Redis for the whole run, and checks for tests that need more."""

from __future__ import annotations

import copy
import os
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from django.conf import settings as django_settings
from redis import Redis

from django_redislock.backends.redis.breaker import _breakers
from django_redislock.testing.servers import EmbeddedServer, ServerError

# No deadline for examples: a busy machine may suspend any process for a while. Fixtures that
# examples share are left unchanged by each of them.
hypothesis.settings.register_profile(
    "unhurried",
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.function_scoped_fixture,
    ],
)
hypothesis.settings.load_profile("unhurried")

pytest_plugins = ["tests.support.databases", "tests.support.fixtures", "tests.support.parallel"]

DATABASE_MARKERS = ("postgresql", "mariadb")
MISSING = pytest.StashKey[str]()
OWN_SERVER = "own_server"
SERVER = pytest.StashKey[EmbeddedServer]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the Redis server that tests/settings.py has announced."""
    port = django_settings.EMBEDDED_REDIS_PORT
    if port is None:
        return
    try:
        config.stash[SERVER] = EmbeddedServer(port=port).start()
    except ServerError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass on to a process of pytest-xdist that the server it finds is the suite's own."""
    node.workerinput[OWN_SERVER] = SERVER in node.config.stash


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the Redis server."""
    if (server := config.stash.get(SERVER, None)) is not None:
        server.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note missing servers per test, before pytest-django creates the databases of all tests."""
    missing = {marker: _missing_database(marker) for marker in DATABASE_MARKERS}
    for item in items:
        for marker in DATABASE_MARKERS:
            if item.get_closest_marker(marker) and (reason := missing[marker]):
                item.stash[MISSING] = reason
                # Keep pytest-django from creating a database that cannot be reached.
                item.add_marker(pytest.mark.django_db(databases=["default"]), append=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test if its server is missing; in CI, fail it."""
    reason = item.stash.get(MISSING, None) or _missing_redis(item)
    if reason is None:
        return
    if _servers_are_required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _servers_are_required() -> bool:
    return any(
        os.environ.get(variable, "").lower() in ("1", "true", "yes")
        for variable in ("CI", "REDISLOCK_REQUIRE_SERVERS")
    )


def _missing_database(alias: str) -> str | None:
    if alias not in django_settings.DATABASES:
        return f"no driver is installed for the {alias} database"
    config = django_settings.DATABASES[alias]
    address = (config["HOST"], int(config["PORT"]))
    try:
        socket.create_connection(address, timeout=10).close()
    except OSError as error:
        return f"no {alias} server at {address[0]}:{address[1]} ({error})"
    return None


def _missing_redis(item: pytest.Item) -> str | None:
    marker = item.get_closest_marker("redis_server")
    if marker is None:
        return None
    (minimum,) = marker.args
    with Redis.from_url(django_settings.REDIS_URL) as client:
        version = client.info("server")["redis_version"]
    if _version(version) >= _version(minimum):
        return None
    return f"the Redis server speaks {version}, and {minimum} is needed"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The address of the suite's Redis server."""
    url: str = django_settings.REDIS_URL
    return url


@pytest.fixture
def key_prefix(settings: Any, pytestconfig: pytest.Config) -> Iterator[str]:
    """A key prefix unique to this test, which replaces that of every alias in LOCKS."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    locks = copy.deepcopy(django_settings.LOCKS)
    for config in locks.values():
        config["KEY_PREFIX"] = prefix
    settings.LOCKS = locks
    yield prefix
    if not _has_own_server(pytestconfig):
        _sweep(prefix)


@pytest.fixture(autouse=True)
def _own_key_prefix(key_prefix: str) -> None:
    """Keep each test from seeing the locks of other tests, or others' locks on a shared server."""


@pytest.fixture(autouse=True)
def _probe_no_server_any_more() -> Iterator[None]:
    """Stop probing, so that a test's missing server does not appear in the log of a later test."""
    yield
    for breaker in list(_breakers.values()):
        breaker.failures.clear()


def _has_own_server(config: pytest.Config) -> bool:
    worker_input: dict[str, Any] = getattr(config, "workerinput", {})
    return SERVER in config.stash or bool(worker_input.get(OWN_SERVER))


def _sweep(prefix: str) -> None:
    with Redis.from_url(django_settings.REDIS_URL) as client:
        for key in client.scan_iter(match=f"*{prefix}*", count=1000):
            client.unlink(key)
