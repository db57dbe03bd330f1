"""Caches other than those of django-redis, usable and refused ones."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import fakeredis
import pytest
from asgiref.sync import sync_to_async
from django.conf import LazySettings

from django_redislock import lock
from django_redislock.checks import check_backends
from django_redislock.exceptions import InvalidLockBackend

PROGRAM = """
import asyncio, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "django_redis":
            raise ImportError("django_redis is not to be imported")

sys.meta_path.insert(0, Blocked())
import django
from django.conf import settings
cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": sys.argv[1]}
settings.configure(
    CACHES={"default": cache | {"OPTIONS": {"db": 5}}},
    LOCKS={"default": {"KEY_PREFIX": sys.argv[2]}},
    INSTALLED_APPS=["django_redislock"],
)
django.setup()
from django.core.cache import cache
from django_redislock import lock, lock_backends
from django_redislock.checks import check_backends

async def take():
    async with lock("a", wait=0):
        assert not lock("a").acquire(wait=0)

with lock("b", wait=0):
    asyncio.run(take())
    cache.set("x", 1)
    assert lock_backends["default"].list().total == 1
print([message.id for message in check_backends(deploy=True)], "django_redis" in sys.modules)
"""


def test_djangos_own_redis_cache_without_django_redis(redis_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, redis_url.removesuffix("/0"), "test-django"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
    )
    assert (done.stdout, done.returncode) == ("['locks.E004'] False\n", 0), done.stderr


def test_clients_of_several_servers_are_refused_by_name(settings: LazySettings) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
            "OPTIONS": {"CONNECTION_FACTORY": f"{__name__}.Factory"},
        }
    }
    settings.LOCKS = {}
    with pytest.raises(InvalidLockBackend, match=f"client is a {__name__}.SeveralServers"):
        lock("a")


DJANGO_REDIS = {
    "BACKEND": "django_redis.cache.RedisCache",
    "LOCATION": "redis://127.0.0.1:1/0",
}
DJANGOS_OWN = DJANGO_REDIS | {"BACKEND": "django.core.cache.backends.redis.RedisCache"}
FAKE = fakeredis.FakeRedisConnection
AT_LOCATION = {"LOCATION": "redis://127.0.0.1:1/0"}


def our_fake(**kwargs: Any) -> Any:
    """A connection factory of a project, which makes a connection of fakeredis."""
    return FAKE(**kwargs)


@pytest.mark.parametrize(
    ("cache", "entry"),
    [
        (
            # django-redis keeps a pool per location, which no other test may have used.
            DJANGO_REDIS
            | {
                "LOCATION": "redis://fake.invalid:1/0",
                "OPTIONS": {"CONNECTION_POOL_KWARGS": {"connection_class": FAKE}},
            },
            {},
        ),
        (DJANGOS_OWN | {"OPTIONS": {"connection_class": FAKE}}, {}),
        (
            DJANGO_REDIS,
            AT_LOCATION | {"OPTIONS": {"connection_class": "fakeredis.FakeRedisConnection"}},
        ),
        (DJANGO_REDIS, AT_LOCATION | {"OPTIONS": {"connection_class": our_fake}}),
    ],
    ids=["django-redis", "django", "location", "function"],
)
async def test_fakeredis_is_refused_with_what_takes_its_place(
    settings: LazySettings, cache: dict[str, object], entry: dict[str, object]
) -> None:
    settings.CACHES = {"default": cache}
    settings.LOCKS = {"default": entry}
    why = r"^LOCKS\['default'\], .*, leads to fakeredis.*the fixture locks, or override_locks\(\)"
    with pytest.raises(InvalidLockBackend, match=why):
        await sync_to_async(lock("a").acquire)(wait=0)
    with pytest.raises(InvalidLockBackend, match=why):
        await lock("a").aacquire(wait=0)
    (message,) = check_backends(deploy=False)
    assert message.id == "locks.E001"


@pytest.mark.parametrize(
    "kind", ["fakeredis.aioredis.FakeAsyncRedisConnection", "redis.asyncio.Connection"]
)
def test_a_connection_class_for_coroutines_is_refused(settings: LazySettings, kind: str) -> None:
    settings.LOCKS = {"default": AT_LOCATION | {"OPTIONS": {"connection_class": kind}}}
    with pytest.raises(InvalidLockBackend, match="coroutines"):
        lock("a")


class Factory:
    """A connection factory as django-redis may be configured with."""

    def __init__(self, options: dict[str, object]) -> None:
        pass

    def connect(self, url: str) -> object:
        return SeveralServers()


class SeveralServers:
    """Has no connection pool of its own, like redis-py's MultiDBClient and RedisCluster."""


def test_caches_without_a_server_are_refused(settings: LazySettings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.LOCKS = {}
    with pytest.raises(
        InvalidLockBackend, match=r"django\.core\.cache\.backends\.locmem\.LocMemCache"
    ):
        lock("a")
