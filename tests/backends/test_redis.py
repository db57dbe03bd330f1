"""Contract suite for the Redis backend, with several servers and pools."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from django_redislock.backends.base import SHARED, Extension
from django_redislock.backends.redis import RedisLockBackend
from django_redislock.conf import LockConfig
from django_redislock.testing.contract import BackendContract
from django_redislock.testing.servers import EmbeddedServer
from tests.support.fixtures import UsePlace
from tests.support.places import Place

REDIS_BINARY = "/usr/bin/redis-server"


@pytest.fixture
def backend(use: UsePlace, server_url: Any, pool_kwargs: Any) -> Iterator[Any]:
    place = use(server_url)
    if pool_kwargs:
        place = place.pool(**pool_kwargs)
        use(place.url, prefix=place.prefix, cache=place.cache)
    backend = RedisLockBackend(LockConfig(key_prefix=place.prefix), grant_lease=20)
    yield backend
    backend.close()


@pytest.fixture
def pool_kwargs() -> Any:
    return {}


@pytest.fixture
def server_url(redis_url: str) -> Any:
    return redis_url


@pytest.fixture(scope="session")
def redis_itself() -> Iterator[Any]:
    with EmbeddedServer(binary=REDIS_BINARY) as server:
        yield server


class TestContract(BackendContract):
    """On the server of the suite."""

    def test_a_lease_is_never_shorter_than_asked_for(self, verbs: Any) -> None:
        """The server counts whole milliseconds, and this process does not."""
        claim = verbs.claim(lease=60.0001)
        verbs.hold(claim)
        assert verbs.backend.inspect("a")[0][0].lease >= 60.0001
        verbs.backend.extend(Extension("a", claim.token, 50.0001))
        assert verbs.backend.inspect("a")[0][0].term >= 50.0001

    def test_one_release_gives_thousands_of_waiters_their_turns(self, verbs: Any) -> None:
        """A script can return only a few thousand values one by one."""
        held = verbs.claim(lease=600)
        verbs.hold(held)
        recorders = [verbs.queue_up(verbs.claim(limit=SHARED), stay=600) for _ in range(3000)]
        verbs.release(held)
        fences = [recorder.turn().fence for recorder in recorders]
        assert fences == sorted(set(fences))


@pytest.mark.skipif(not os.access(REDIS_BINARY, os.X_OK), reason="there is no Redis here")
class TestContractOnRedis(BackendContract):
    """On Redis itself, where the suite's server is Valkey; and with RESP3."""

    @pytest.fixture
    def server_url(self, redis_itself: Any) -> Any:
        return redis_itself.url

    @pytest.fixture
    def pool_kwargs(self) -> Any:
        return {"protocol": 3}


class TestContractWithSettingsOfCaches(BackendContract):
    """With a pool of one connection, which decodes replies."""

    @pytest.fixture
    def pool_kwargs(self) -> Any:
        return {"decode_responses": True, "max_connections": 1, "timeout": 20}


def test_the_backend_is_known_by_its_short_path() -> None:
    assert Place("redis://h").settings()["LOCKS"]["default"]["BACKEND"] == LockConfig.backend
