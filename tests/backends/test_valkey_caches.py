"""Caches of django-valkey."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.cache import caches, close_caches
from django.core.signals import request_finished
from redis.connection import SSLConnection, UnixDomainSocketConnection

from django_redislock import lock, lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.checks import check_backends
from django_redislock.exceptions import InvalidLockBackend
from tests.support.sentinel import SentinelSet

VALKEY = "django_valkey.cache.ValkeyCache"


@pytest.fixture(autouse=True, scope="module")
def without_its_receiver() -> Iterator[None]:
    """Disconnect the receiver that django-valkey connects when it is imported.

    With a coroutine as a receiver, Django's asynchronous test client cannot close a response.
    """
    yield
    if base := sys.modules.get("django_valkey.base"):
        request_finished.disconnect(base.close_async_caches)
        request_finished.connect(close_caches)


def backend() -> RedisLockBackend:
    found = lock_backends["default"]
    assert isinstance(found, RedisLockBackend)
    return found


def use(settings: LazySettings, location: str, **entry: Any) -> None:
    prefix = settings.LOCKS["default"]["KEY_PREFIX"]
    settings.CACHES = {"default": {"BACKEND": VALKEY, "LOCATION": location, **entry}}
    settings.LOCKS = {"default": {"KEY_PREFIX": prefix}}


async def both_ways() -> None:
    async with lock("a", wait=0):
        assert not lock("a").acquire(wait=0)


def test_locks_work_for_threads_and_coroutines(settings: LazySettings, redis_url: str) -> None:
    use(settings, redis_url.replace("redis://", "valkey://"))
    with lock("b", wait=0):
        asyncio.run(both_ways())
        assert backend().list().total == 1
    assert [message.id for message in check_backends(deploy=True)] == ["locks.W003"]


def test_the_settings_of_the_cache_apply_to_connections(settings: LazySettings) -> None:
    options = {
        "SOCKET_TIMEOUT": 2,
        "SOCKET_CONNECT_TIMEOUT": 1,
        "CONNECTION_POOL_KWARGS": {"client_name": "shop", "max_connections": 7},
    }
    use(settings, "valkey://ann:pw@127.0.0.1:1/3", OPTIONS=options)
    source = backend().source
    assert (source.timeout, source.database, source.at) == (2.0, 3, "127.0.0.1:1")
    connection = source.connection()
    assert (connection.username, connection.password) == ("ann", "pw")
    assert (connection.client_name, connection.socket_connect_timeout) == ("shop", 1)


@pytest.mark.parametrize(
    ("location", "made_by"),
    [("valkeys://h/1", SSLConnection), ("unix:///x.sock?db=1", UnixDomainSocketConnection)],
)
def test_tls_and_unix_sockets(settings: LazySettings, location: str, made_by: type) -> None:
    use(settings, location)
    assert backend().source.database == 1
    assert "cache 'default'" in backend().source.where
    assert isinstance(backend().source.connection(), made_by)
    settings.LOCKS = {
        "default": {},
        "location": {"LOCATION": location.replace("valkeys", "rediss")},
    }
    assert lock_backends["default"].place == lock_backends["location"].place


@pytest.mark.timeout(180)
def test_sentinels_are_asked_as_django_valkey_does(settings: LazySettings) -> None:
    with SentinelSet() as servers:
        options = {
            **servers.cache["OPTIONS"],
            "CLIENT_CLASS": "django_valkey.client.SentinelClient",
            "CONNECTION_FACTORY": "django_valkey.pool.SentinelConnectionFactory",
            "CONNECTION_POOL_CLASS": "valkey.sentinel.SentinelConnectionPool",
        }
        use(settings, f"valkey://{servers.service}/0", OPTIONS=options)
        with lock("b", wait=0):
            asyncio.run(both_ways())
        assert backend().source.at == f"the Sentinels 127.0.0.1:{servers.port}"
        backend().close()


@pytest.mark.parametrize(
    "path",
    [
        "django_valkey.async_cache.cache.AsyncValkeyCache",
        "django.core.cache.backends.dummy.DummyCache",
    ],
)
def test_the_error_for_an_unusable_cache_names_a_usable_one(
    settings: LazySettings, path: str
) -> None:
    use(settings, "valkey://127.0.0.1:1/0", BACKEND=path)
    with pytest.raises(InvalidLockBackend, match=f"is a {path} and has no .*{VALKEY}"):
        lock("a")
    # Otherwise its close() would not be awaited at the end of a request.
    del caches["default"]


def test_custom_connection_factories_are_refused(settings: LazySettings) -> None:
    use(
        settings,
        "valkey://127.0.0.1:1/0",
        OPTIONS={"CONNECTION_POOL_KWARGS": {"connection_class": _Connection}},
    )
    with pytest.raises(InvalidLockBackend, match="_Connection.*redis-py has no equivalent"):
        lock("a")


class _Connection:
    """A connection that connects to no server."""
