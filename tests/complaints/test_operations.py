"""Operations: clearing and listing locks, and their costs."""

from __future__ import annotations

import threading
from typing import Any

from django.core.cache import caches
from django.core.management import call_command

from django_redislock import lock
from django_redislock.checks import check_backends
from tests.support.commands import output_of
from tests.support.processes import wait_until

REDIS = "django_redis.cache.RedisCache"


def test_clearing_one_alias_leaves_the_locks_of_another(settings: Any, key_prefix: str) -> None:
    """django-redis PR#265, laravel PR#52375."""
    settings.LOCKS = {
        "default": {"KEY_PREFIX": key_prefix},
        "other": {"KEY_PREFIX": f"{key_prefix}-other"},
    }
    with lock("report", using="other") as held:
        mine = lock("report", renew=False)
        mine.acquire()
        mine.detach()
        call_command("clearlocks", "--all", "--using", "default", "--no-input", verbosity=0)
        with lock("report", wait=0):
            pass
        assert held.owned()


def test_clearing_the_cache_leaves_the_locks(own_server: Any, settings: Any) -> None:
    """laravel PR#52375: `cache.clear()` deleted the locks, too."""
    settings.CACHES = {
        "default": {"BACKEND": REDIS, "LOCATION": own_server.url},
        "locks": {"BACKEND": REDIS, "LOCATION": own_server.url.replace("/0", "/1")},
    }
    settings.LOCKS = {"default": {"CACHE": "locks"}}
    caches["default"].set("key", "value")
    with lock("report") as held:
        caches["default"].clear()
        assert caches["default"].get("key") is None
        assert held.owned()


def test_a_check_warns_when_clearing_the_cache_would_delete_the_locks(
    own_server: Any, settings: Any
) -> None:
    """laravel PR#52375: there was no warning."""
    settings.CACHES = {"default": {"BACKEND": REDIS, "LOCATION": own_server.url}}
    settings.LOCKS = {}
    assert "locks.W003" in [message.id for message in check_backends(deploy=True)]


def test_locks_are_listed() -> None:
    """redis-py#1292, python-redis-lock#41: there was no way to list the locks."""
    with lock("report"), lock("feed:7", label="nightly"):
        lines = output_of("listlocks", format="jsonl").splitlines()
    assert len(lines) == 2
    assert any("feed:7" in line and "nightly" in line for line in lines)


def test_listing_scans_no_keyspace(own_server: Any, use: Any) -> None:
    """django-redis#225: SCAN takes long in a large database."""
    place = use(own_server.url)
    with place.client() as client, lock("report"):
        client.mset({f"other:{number}": "" for number in range(10_000)})
        client.config_resetstat()
        output_of("listlocks")
        called = set(client.info("commandstats"))
    assert not {"cmdstat_scan", "cmdstat_keys", "cmdstat_zscan", "cmdstat_hscan"} & called


def test_many_waiters_take_one_connection(own_server: Any, use: Any) -> None:
    """go-redis#1798: each waiter blocked in a connection of its own until the pool was empty."""
    place = use(own_server.url)
    served = []

    def wait() -> None:
        with lock("report", wait=60):
            served.append(True)

    with place.client() as client:
        with lock("report") as held:
            threads = [threading.Thread(target=wait) for _ in range(50)]
            for thread in threads:
                thread.start()
            wait_until(lambda: len(held.backend.inspect("report")[1]) == 50)
            subscribed = [one for one in client.client_list() if one["flags"] == "P"]
            assert len(subscribed) == 1
            blocked = [one for one in client.client_list() if "b" in one["flags"]]
            assert blocked == []
        for thread in threads:
            thread.join()
    assert len(served) == 50


def test_all_keys_of_a_name_are_in_one_slot_of_a_cluster() -> None:
    """python-redis-lock#59, redisson#1098: CROSSSLOT."""
    from redis.crc import key_slot

    from django_redislock.backends.redis.keys import name_keys

    for name in ("order:42", "{a}", "a{b}c", "größe"):
        assert len({key_slot(key.encode()) for key in name_keys("lock", name)}) == 1
