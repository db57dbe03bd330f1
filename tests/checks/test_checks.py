"""System checks of the settings, and with ``--deploy`` of the server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core.cache import caches
from django.test import override_settings
from redis import Redis

from django_redislock import lock
from django_redislock.checks import check_backends
from django_redislock.exceptions import InvalidLockBackend
from django_redislock.testing.servers import EmbeddedServer

DJANGO_REDIS = "django_redis.cache.RedisCache"


def ids(*, deploy: bool) -> list[str]:
    return [message.id for message in check_backends(deploy=deploy)]


def cache(url: str, **options: object) -> dict[str, object]:
    return {"BACKEND": DJANGO_REDIS, "LOCATION": url, "OPTIONS": options}


@pytest.fixture(scope="session")
def server() -> Iterator[Any]:
    with EmbeddedServer() as running:
        yield running


@pytest.fixture(autouse=True)
def forget_unusable_caches(settings: Any) -> Iterator[None]:
    """Django closes all caches, and django-redis 6 fails to close an unusable one."""
    yield
    for alias in ("locks", "other"):
        with suppress(AttributeError):
            del caches[alias]


@pytest.fixture
def locks_apart(server: Any) -> Iterator[None]:
    """Correct settings: the locks have a database of their own."""
    base = server.url.removesuffix("/0")
    with override_settings(
        CACHES={"default": cache(f"{base}/0"), "locks": cache(f"{base}/1")},
        LOCKS={"default": {"CACHE": "locks"}},
    ):
        yield


def test_the_checks_are_registered_under_a_tag() -> None:
    assert checks.tag_exists("locks", include_deployment_checks=True)


@pytest.mark.usefixtures("locks_apart")
def test_locks_in_a_database_of_their_own_pass_the_checks() -> None:
    assert ids(deploy=False) == ids(deploy=True) == []


@pytest.mark.parametrize(
    ("locks", "words"),
    [
        ({"default": {"BACKEND": "nowhere.Backend"}}, "nowhere.Backend"),
        ({"default": {"BACKEND": "django.http.HttpResponse"}}, "BaseLockBackend"),
        ({"default": {"OPTIONS": {"colour": "red"}}}, "grant_lease"),
        ({"default": {"CACHE": "nowhere"}}, "'nowhere'"),
        ({"default": {"CACHE": "local"}}, "LocMemCache"),
        ({"default": {"CACHE": "sharded"}}, "ShardClient. A cache has to lead to a standalone"),
        ({"default": {"LEASE": 0}}, "LOCKS['default']['LEASE']"),
        ({"default": {"WAIT": -1}}, "LOCKS['default']['WAIT']"),
        ({"default": {"LEESE": 1}}, "'LEESE'"),
        ({"default": "redis"}, "must be a dictionary such as {"),
        ({"default": "redis://:secret@x/0"}, 'write {"LOCATION": "redis://..."}.'),
        ({"default": {"TIMEOUT": 5}}, "Write LEASE (how long an unrenewed hold lives), WAIT"),
        ({"LEASE": 10, "WAIT": 2}, 'LOCKS = {"default": {"LEASE": 10, "WAIT": 2}}'),
        ({"LOCATION": "redis://:secret@x/0"}, 'LOCKS = {"default": {"LOCATION": ...}}'),
        ({"default": {"LEASEE": 10}}, "Did you mean 'LEASE'?"),
        ({"default": {"PATIENCE": -1}}, "LOCKS['default']['PATIENCE']"),
        (["default"], "LOCKS must be a dictionary"),
    ],
)
def test_a_wrong_entry_is_an_error_that_names_it(
    settings: Any, server: Any, locks: Any, words: str
) -> None:
    settings.CACHES = {
        "default": cache(server.url),
        "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "sharded": cache(server.url, CLIENT_CLASS="django_redis.client.ShardClient"),
    }
    settings.LOCKS = locks
    (message,) = check_backends(deploy=False)
    assert (message.id, message.level) == ("locks.E001", checks.ERROR)
    assert words in message.msg
    assert "secret" not in message.msg
    assert ids(deploy=True) == [], "what the settings check has said is not said twice"


def test_a_new_project_is_told_what_to_write(settings: Any, server: Any) -> None:
    """It has no ``LOCKS``, and Django's default cache: the message shows settings that work."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.LOCKS = {}
    (message,) = check_backends(deploy=False)
    (shown,) = re.findall(r"LOCKS = (\{.*?\}\})", message.msg)
    assert shown == '{"default": {"LOCATION": "redis://127.0.0.1:6379/1"}}'
    settings.LOCKS = json.loads(shown.replace("redis://127.0.0.1:6379/1", server.url))
    with lock("a") as held:
        assert held.owned()


URL = "redis://127.0.0.1:1/0"

# Settings that django-redis, redis-py and Django refuse, and words of the error.
UNUSABLE = [
    ({"BACKEND": DJANGO_REDIS}, "ImproperlyConfigured"),
    ({"LOCATION": URL}, "'BACKEND'"),
    ({"BACKEND": "django_redis.cache.RedisCach", "LOCATION": URL}, "RedisCach"),
    (cache(URL, CLIENT_CLASS="django_redis.client.Nobody"), "Nobody"),
    (cache(URL, CONNECTION_FACTORY="django_redis.pool.Nobody"), "Nobody"),
    (cache(URL, REDIS_CLIENT_CLASS="redis.cluster.RedisCluster"), "RedisCluster"),
    (cache(f"{URL}?wrong", CONNECTION_POOL_KWARGS={"max_connectionss": 5}), "max_connectionss"),
]


@pytest.mark.parametrize(("unusable", "words"), UNUSABLE, ids=str)
def test_a_cache_that_cannot_be_made_is_an_error_that_names_it(
    settings: Any, unusable: Any, words: str
) -> None:
    settings.CACHES = {"default": cache(URL), "locks": unusable}
    settings.LOCKS = {"default": {"CACHE": "locks"}}
    (message,) = check_backends(deploy=False)
    assert message.id == "locks.E001"
    assert message.msg.startswith("LOCKS['default'] uses the cache 'locks', which cannot be made: ")
    assert words in message.msg
    assert "Correct CACHES['locks']" in message.msg
    with pytest.raises(InvalidLockBackend):
        lock("a")


# Their server cannot even be looked for.
NOWHERE = [
    cache("redis://a..b:1/0"),
    cache(f"{URL}?nowhere", CONNECTION_POOL_KWARGS={"encoding": "nope"}),
]


@pytest.mark.parametrize("unusable", [*NOWHERE, *(one for one, _ in UNUSABLE)], ids=str)
def test_a_cache_that_the_locks_do_not_use_may_be_unusable(
    settings: Any, server: Any, unusable: Any
) -> None:
    settings.CACHES = {"default": cache(server.url), "other": unusable}
    settings.LOCKS = {}
    (message,) = check_backends(deploy=True)
    assert message.id == "locks.W003"
    assert "'other'" not in message.msg


def test_a_server_that_refuses_is_not_reported_as_unreachable(settings: Any, server: Any) -> None:
    settings.CACHES = {"default": cache(server.url.removesuffix("/0") + "/99")}
    settings.LOCKS = {}
    (message,) = check_backends(deploy=True)
    assert message.id == "locks.W001"
    assert message.hint == (
        "The server answers, but refuses: correct user, password and database number in "
        "CACHES['default']."
    )


def test_the_settings_check_does_not_connect(settings: Any) -> None:
    settings.CACHES = {"default": cache("redis://127.0.0.1:1/0")}
    settings.LOCKS = {}
    assert ids(deploy=False) == []


def test_a_server_that_does_not_answer_is_a_warning_under_deploy(settings: Any) -> None:
    settings.CACHES = {"default": cache("redis://127.0.0.1:1/0")}
    settings.LOCKS = {}
    (message,) = check_backends(deploy=True)
    assert message.id == "locks.W001"
    assert message.msg == (
        "Redis (LOCKS['default'], cache 'default') does not answer at 127.0.0.1:1; is it running? "
        "Connection refused"
    )
    assert message.hint.startswith("Correct the address in CACHES['default'], or run this check")


def test_a_database_shared_with_a_cache_is_a_warning(settings: Any, server: Any) -> None:
    settings.CACHES = {"default": cache(server.url)}
    settings.LOCKS = {}
    (message,) = check_backends(deploy=True)
    assert message.id == "locks.W003"
    assert "'default'" in message.msg


def djangos(url: str) -> dict[str, object]:
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}


def test_the_same_database_by_another_address_is_an_error(settings: Any, server: Any) -> None:
    other_name = server.url.replace("127.0.0.1", "localhost")
    settings.CACHES = {
        "default": djangos(server.url),
        "locks": cache(other_name),
        "also": cache(server.url),
    }
    settings.LOCKS = {"default": {"CACHE": "locks"}}
    (message,) = check_backends(deploy=True)
    assert (message.id, message.level) == ("locks.E004", checks.ERROR)
    assert "'default', 'also'" in message.msg


@pytest.mark.parametrize("locks", [{}, {"default": {"LOCATION": "the same"}}])
def test_djangos_own_cache_in_the_same_database_is_an_error(
    settings: Any, server: Any, locks: Any
) -> None:
    settings.CACHES = {"default": djangos(server.url)}
    for entry in locks.values():
        entry["LOCATION"] = server.url
    settings.LOCKS = locks
    assert ids(deploy=True) == ["locks.E004"]
    settings.SILENCED_SYSTEM_CHECKS = ["locks.E004"]
    (message,) = check_backends(deploy=True)
    assert message.is_silenced()


def test_the_same_cluster_is_only_a_warning(
    settings: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHES = {"default": djangos(server.url)}
    settings.LOCKS = {"default": {"LOCATION": f"cluster://127.0.0.1:{server.port}"}}
    info = Redis.info
    monkeypatch.setattr(Redis, "info", lambda *_: {**info(*_), "cluster_enabled": 1})
    assert ids(deploy=True) == ["locks.W003", "locks.E009"], "the trial finds no Cluster"


def test_the_settings_of_the_readme_pass_the_checks(settings: Any, server: Any) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    block = text.partition("```python settings\n")[2].partition("```")[0]
    named = {"INSTALLED_APPS": [], "CACHES": {"default": cache(server.url)}}
    exec(block.replace("redis://127.0.0.1:6379", server.url.removesuffix("/0")), named)  # noqa: S102 - our own page
    assert "LOCATION" in named["LOCKS"]["default"]
    settings.CACHES, settings.LOCKS = named["CACHES"], named["LOCKS"]
    assert ids(deploy=False) == ids(deploy=True) == []


@pytest.mark.usefixtures("locks_apart")
def test_a_server_that_evicts_keys_is_a_warning(server: Any) -> None:
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
def test_a_server_whose_memory_is_nearly_full_is_a_warning(server: Any) -> None:
    check_backends(deploy=True)  # its connections and scripts take memory
    with Redis.from_url(server.url) as client:
        used = client.info("memory")["used_memory"]
        try:
            for limit, others in ((used * 108 // 100, []), (1, ["locks.E009"])):
                client.config_set("maxmemory", limit)
                message, *more = check_backends(deploy=True)
                assert message.id == "locks.W005"
                assert "% of its maxmemory" in message.msg
                assert [one.id for one in more] == others
            client.config_set("maxmemory", used * 3)
            assert ids(deploy=True) == []
        finally:
            client.config_set("maxmemory", "0")


@pytest.mark.usefixtures("locks_apart")
def test_a_server_that_is_too_old_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from django_redislock.backends.redis import server_checks

    monkeypatch.setattr(server_checks, "OLDEST_SERVER", (99, 0))
    assert ids(deploy=True) == ["locks.E002"]


def test_locks_in_memory_are_a_warning_under_deploy(settings: Any) -> None:
    settings.LOCKS = {"default": {"BACKEND": "django_redislock.backends.memory.MemoryLockBackend"}}
    assert ids(deploy=False) == []
    assert ids(deploy=True) == ["locks.W004"]
