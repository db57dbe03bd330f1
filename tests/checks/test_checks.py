"""What ``manage.py check`` says of the lock settings, and with ``--deploy`` of the server."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.core import checks
from django.core.cache import caches
from django.test import override_settings

from django_redislock import lock
from django_redislock.checks import check_backends
from django_redislock.exceptions import InvalidLockBackend
from django_redislock.testing.servers import EmbeddedServer

DJANGO_REDIS = "django_redis.cache.RedisCache"


def ids(*, deploy: bool) -> list[str]:
    return [message.id for message in check_backends(deploy=deploy)]


def cache(url: str, **options: object) -> dict[str, object]:
    return {"BACKEND": DJANGO_REDIS, "LOCATION": url, "OPTIONS": options}


@pytest.fixture(scope="module")
def server():
    with EmbeddedServer() as running:
        yield running


@pytest.fixture(autouse=True)
def forget_unusable_caches(settings):
    """Django closes all that were made, and django-redis 6 fails to close what it cannot use."""
    yield
    for alias in ("locks", "other"):
        with suppress(AttributeError):
            del caches[alias]


@pytest.fixture
def locks_apart(server):
    """The settings that nothing is wrong with: the locks have a database of their own."""
    base = server.url.removesuffix("/0")
    with override_settings(
        CACHES={"default": cache(f"{base}/0"), "locks": cache(f"{base}/1")},
        LOCKS={"default": {"CACHE": "locks"}},
    ):
        yield


def test_the_checks_are_registered_under_a_tag():
    assert checks.tag_exists("locks", include_deployment_checks=True)


@pytest.mark.usefixtures("locks_apart")
def test_nothing_to_say_of_locks_in_a_database_of_their_own():
    assert ids(deploy=False) == ids(deploy=True) == []


@pytest.mark.parametrize(
    ("locks", "words"),
    [
        ({"default": {"BACKEND": "nowhere.Backend"}}, "nowhere.Backend"),
        ({"default": {"BACKEND": "django.http.HttpResponse"}}, "BaseLockBackend"),
        ({"default": {"OPTIONS": {"colour": "red"}}}, "grant_lease"),
        ({"default": {"CACHE": "nowhere"}}, "'nowhere'"),
        ({"default": {"CACHE": "local"}}, "LocMemCache"),
        ({"default": {"LEASE": 0}}, "LOCKS['default']['LEASE']"),
        ({"default": {"WAIT": -1}}, "LOCKS['default']['WAIT']"),
        ({"default": {"LEESE": 1}}, "'LEESE'"),
        ({"default": "redis"}, "must be a dictionary"),
        (["default"], "LOCKS must be a dictionary"),
    ],
)
def test_a_wrong_entry_is_an_error_that_names_it(settings, server, locks, words):
    settings.CACHES = {
        "default": cache(server.url),
        "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    settings.LOCKS = locks
    (message,) = check_backends(deploy=False)
    assert (message.id, message.level) == ("locks.E001", checks.ERROR)
    assert words in message.msg
    assert ids(deploy=True) == [], "what the settings check has said is not said twice"


URL = "redis://127.0.0.1:1/0"

# What django-redis, redis-py and Django do not accept, with what the error has to name.
UNUSABLE = [
    ({"BACKEND": DJANGO_REDIS}, "ImproperlyConfigured"),
    ({"LOCATION": URL}, "'BACKEND'"),
    ({"BACKEND": "django_redis.cache.RedisCach", "LOCATION": URL}, "RedisCach"),
    (cache(URL, CLIENT_CLASS="django_redis.client.Nobody"), "Nobody"),
    (cache(URL, CONNECTION_FACTORY="django_redis.pool.Nobody"), "Nobody"),
    (cache(URL, CLIENT_CLASS="django_redis.client.ShardClient"), "NotImplementedError"),
    (cache(URL, REDIS_CLIENT_CLASS="redis.cluster.RedisCluster"), "RedisCluster"),
    (cache(f"{URL}?wrong", CONNECTION_POOL_KWARGS={"max_connectionss": 5}), "max_connectionss"),
]


@pytest.mark.parametrize(("unusable", "words"), UNUSABLE, ids=str)
def test_a_cache_that_cannot_be_made_is_an_error_that_names_it(settings, unusable, words):
    settings.CACHES = {"default": cache(URL), "locks": unusable}
    settings.LOCKS = {"default": {"CACHE": "locks"}}
    (message,) = check_backends(deploy=False)
    assert message.id == "locks.E001"
    assert message.msg.startswith("LOCKS['default'] uses the cache 'locks', which cannot be made: ")
    assert words in message.msg
    assert "Correct CACHES['locks']" in message.msg
    with pytest.raises(InvalidLockBackend):
        lock("a")


@pytest.mark.parametrize("unusable", [unusable for unusable, _ in UNUSABLE], ids=str)
def test_a_cache_that_the_locks_do_not_use_may_be_unusable(settings, server, unusable):
    settings.CACHES = {"default": cache(server.url), "other": unusable}
    settings.LOCKS = {}
    (message,) = check_backends(deploy=True)
    assert message.id == "locks.W003"
    assert "'other'" not in message.msg


def test_a_server_that_refuses_is_not_said_to_be_out_of_reach(settings, server):
    settings.CACHES = {"default": cache(server.url.removesuffix("/0") + "/99")}
    settings.LOCKS = {}
    (message,) = check_backends(deploy=True)
    assert message.id == "locks.W001"
    assert message.hint == (
        "The server answers, and refuses: correct user, password and database number in "
        "CACHES['default']."
    )


def test_the_settings_check_does_not_connect(settings):
    settings.CACHES = {"default": cache("redis://127.0.0.1:1/0")}
    settings.LOCKS = {}
    assert ids(deploy=False) == []


def test_a_server_that_does_not_answer_is_a_warning_under_deploy(settings):
    settings.CACHES = {"default": cache("redis://127.0.0.1:1/0")}
    settings.LOCKS = {}
    assert ids(deploy=True) == ["locks.W001"]


def test_a_database_shared_with_a_cache_that_clear_empties(settings, server):
    settings.CACHES = {"default": cache(server.url)}
    settings.LOCKS = {}
    (message,) = check_backends(deploy=True)
    assert message.id == "locks.W003"
    assert "'default'" in message.msg


def test_the_same_database_by_another_name_and_by_djangos_own_cache(settings, server):
    other_name = server.url.replace("127.0.0.1", "localhost")
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": server.url,
        },
        "locks": cache(other_name),
        "also": cache(server.url),
    }
    settings.LOCKS = {"default": {"CACHE": "locks"}}
    (message,) = check_backends(deploy=True)
    assert "'default', 'also'" in message.msg


@pytest.mark.usefixtures("locks_apart")
def test_a_server_that_evicts(server):
    import redis

    client = redis.Redis.from_url(server.url)
    client.config_set("maxmemory", "100mb")
    try:
        for policy in ("allkeys-lru", "volatile-ttl"):
            client.config_set("maxmemory-policy", policy)
            assert ids(deploy=True) == ["locks.W002"]
        client.config_set("maxmemory-policy", "noeviction")
        assert ids(deploy=True) == []
    finally:
        client.config_set("maxmemory", "0")
        client.close()


@pytest.mark.usefixtures("locks_apart")
def test_a_server_that_is_too_old(monkeypatch):
    from django_redislock.backends.redis import server_checks

    monkeypatch.setattr(server_checks, "OLDEST_SERVER", (99, 0))
    assert ids(deploy=True) == ["locks.E002"]


def test_locks_in_memory_are_a_warning_under_deploy(settings):
    settings.LOCKS = {"default": {"BACKEND": "django_redislock.backends.memory.MemoryLockBackend"}}
    assert ids(deploy=False) == []
    assert ids(deploy=True) == ["locks.W004"]
