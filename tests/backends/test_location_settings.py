"""Settings LOCATION and OPTIONS, and errors that say what to write."""

from __future__ import annotations

import math
import traceback
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest
from django.conf import LazySettings
from redis.credentials import CredentialProvider
from redis.sentinel import SentinelConnectionPool

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.sources import locations
from django_redislock.checks import check_backends
from django_redislock.exceptions import InvalidLockBackend

WRONG = [
    ("", {}, "must be a string that is not empty"),
    ("127.0.0.1:6379", {}, "must begin with redis://, rediss://"),
    ("http://127.0.0.1", {}, "must begin with"),
    ("redis://", {}, "names no host"),
    ("redis://h:1#/0", {}, "it has a #, which is written %23"),
    ("redis:///1", {}, "names no host"),
    ("redis://:wo#rd@h/0", {}, "%23 for a #"),
    ("redis://ann:wo/rd@h/0", {}, "%2F for a /"),
    ("redis://:wo?rd@h/0", {}, "%3F for a [?]"),
    ("sentinel://:wo#rd@h/main", {}, "%23 for a #"),
    ("cluster://:wo#rd@h", {}, "%23 for a #"),
    ("redis://h:port/0", {}, "(?i)port"),
    ("redis://h:99999/0", {}, "(?i)port"),
    ("redis://h/zero", {}, "'zero' is not a database number"),
    ("redis://h/1/2", {}, "'1/2' is not a database number"),
    ("redis://h/0?db=x", {}, "db"),
    ("redis://h/0?socket_timeout=soon", {}, r"'socket_timeout' in connection URL\. Write"),
    ("redis://h/0?colour=red", {}, "'LOCATION'.*no option 'colour'. It takes client_name"),
    ("redis://h/0?socket_timout=2", {}, "Did you mean 'socket_timeout'?"),
    ("cluster://h?db=1", {}, "no option 'db'"),
    ("redis://h:1,h:2/0", {}, "several hosts, which need sentinel:// or cluster://"),
    ("REDIS://h/0", {}, "it must begin with redis://"),
    (" redis://h/0", {}, "it must begin with redis://"),
    ("unix:nowhere.sock", {}, "it must begin with redis://"),
    ("unix://", {}, "names no path"),
    ("unix://run/redis.sock", {}, "path begins with a slash: unix:///run/redis.sock"),
    ("sentinel://h:26379", {}, "names no Sentinel service"),
    ("sentinel:///main", {}, "names no host of a Sentinel"),
    ("sentinel://h/main/x", {}, "'x' is not a database number"),
    ("cluster://", {}, "names no host of a node"),
    ("cluster://h:7000,:7001", {}, "names no host of a node"),
    ("cluster://h:port", {}, "(?i)port"),
    ("cluster://h/1", {}, "a Cluster has only one database"),
    ("cluster://h", {"db": 1}, "no option 'db'"),
    ("cluster://h", {"sentinel_kwargs": {}}, "no option 'sentinel_kwargs'"),
    ("redis://h", {"usernam": "x"}, "no option 'usernam'. Did you mean 'username'?"),
    ("redis://h", {"grant_leas": 3}, "no option 'grant_leas'. Did you mean 'grant_lease'?"),
    ("redis://h", {"host": "x"}, "no option 'host'. Put it into LOCATION."),
    ("redis://h", {"ssl_ca_certs": "x"}, "no option 'ssl_ca_certs'.*TLS begins with rediss://"),
    ("redis://h", {"colour": 1}, "no option 'colour'.*for the connection client_name|colour"),
    ("redis://h", {"protocol": 4}, "protocol"),
    ("redis://h", {"socket_timeout": "soon"}, "socket_timeout must be .*, not 'soon'"),
    ("redis://h", {"socket_timeout": []}, r"socket_timeout must be .*, not \[\]"),
    ("redis://h", {"socket_timeout": math.nan}, "socket_timeout must be .*, not nan"),
    ("redis://h", {"socket_timeout": -1}, "a number of seconds above 0, not -1"),
    ("redis://h", {"socket_timeout": 0}, "a number of seconds above 0, not 0"),
    ("redis://h?socket_timeout=0", {}, "socket_timeout must be a number of seconds above 0, not 0"),
    ("redis://h", {"socket_timeout": math.inf}, "socket_timeout must be .*, not inf"),
    ("redis://h", {"socket_connect_timeout": "soon"}, "socket_connect_timeout must be"),
    ("redis://h", {"socket_connect_timeout": -1}, "socket_connect_timeout must be a number"),
    ("redis://h", {"socket_connect_timeout": 0}, "socket_connect_timeout must be a number"),
    ("sentinel://h/main", {"sentinel_kwargs": {"socket_timeout": 0}}, "socket_timeout must be"),
    ("redis://h", {"connection_class": "no.such.Class"}, "connection_class.*No module named 'no'"),
    ("redis://h", {"max_connections": -1}, "max_connections"),
    ("redis://h", {"username": "x", "credential_provider": CredentialProvider()}, "credential"),
    ("rediss://h", {"ssl_cert_reqs": "maybe"}, "maybe"),
]


@pytest.mark.parametrize(
    ("location", "options", "words"), WRONG, ids=[f"{number}" for number in range(len(WRONG))]
)
def test_a_wrong_entry_is_an_error_that_names_it(
    settings: LazySettings, location: str, options: dict[str, Any], words: str
) -> None:
    settings.LOCKS = {"default": {"LOCATION": location, "OPTIONS": options}}
    (message,) = check_backends(deploy=False)
    assert message.id == "locks.E001"
    assert message.msg.startswith("LOCKS['default']['")
    with pytest.raises(InvalidLockBackend, match=words):
        lock("a")


def _urlsplit_of_newer_pythons(url: str) -> SplitResult:
    """As since the fix of CVE-2025-0938: one host, which is all in brackets."""
    found = urlsplit(url)
    before, bracket, inside = found.netloc.rpartition("@")[2].partition("[")
    after = inside.partition("]")[2]
    if bracket and (before or after[:1] not in {"", ":"}):
        raise ValueError("Invalid IPv6 URL")
    return found


@pytest.mark.parametrize(
    ("location", "hosts"),
    [
        ("cluster://[::1],[::2]", [("::1", 6379), ("::2", 6379)]),
        ("cluster://ann:word@node:7000,[::1]:7001", [("node", 7000), ("::1", 7001)]),
        ("sentinel://[::1],[::2]/main/1", [("::1", 26379), ("::2", 26379)]),
        ("sentinel://node:1,[::1]:2/main", [("node", 1), ("::1", 2)]),
    ],
)
def test_hosts_may_be_ipv6_addresses(
    location: str, hosts: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locations, "urlsplit", _urlsplit_of_newer_pythons)
    found = locations.start_nodes(location)
    pool = locations.pool_at(location, {}, "here")
    if isinstance(pool, SentinelConnectionPool):
        known = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
        found = [(one["host"], one["port"]) for one in known]
    assert found == hosts


@pytest.mark.parametrize(
    "location",
    ["redis://[::1]:1/0", "cluster://[::1]:1,[::1]:2", "sentinel://[::1]:1,[::1]:2/main/0"],
)
def test_errors_show_an_ipv6_address_as_a_location_has_it(
    settings: LazySettings, location: str
) -> None:
    settings.LOCKS = {"default": {"LOCATION": location}}
    backend = lock_backends["default"]
    assert isinstance(backend, RedisLockBackend)
    assert backend.source.where == f"LOCKS['default'], {location}"
    assert "[::1]:1" in backend.source.at


def test_no_password_is_shown(settings: LazySettings) -> None:
    settings.LOCKS = {"default": {"LOCATION": "redis://ann:secret@127.0.0.1:1/0"}}
    with pytest.raises(LockUnavailable) as caught:
        lock("a").acquire(wait=0)
    assert "redis://127.0.0.1:1/0" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "location",
    [
        *("redis://ann:secret/0@h/0", "redis://ann:12/secret@h/0", "redis://ann:12#secret@h/0"),
        *("redis://ann:12?secret@h/0", "cluster://ann:12?secret@h"),
    ],
)
def test_no_part_of_an_unescaped_password_is_shown(location: str) -> None:
    with pytest.raises(InvalidLockBackend) as caught:
        locations.pool_at(location, {}, "here")
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_cache_and_location_exclude_each_other(settings: LazySettings) -> None:
    settings.LOCKS = {"default": {"CACHE": "default", "LOCATION": "redis://127.0.0.1/0"}}
    with pytest.raises(InvalidLockBackend, match=r"LOCKS\['default'\] has both CACHE and LOCATION"):
        lock("a")


def test_connection_options_of_a_cache_belong_into_caches(settings: LazySettings) -> None:
    settings.LOCKS = {"default": {"OPTIONS": {"password": "x"}}}
    with pytest.raises(InvalidLockBackend, match="write it in CACHES, or set .*LOCATION"):
        lock("a")


def test_aliases_that_lead_to_the_same_database_share_their_locks(settings: LazySettings) -> None:
    django_redis = "django_redis.cache.RedisCache"
    settings.CACHES = {
        "default": {"BACKEND": django_redis, "LOCATION": "redis://h:7000/1"},
        "plain": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://h:7000",
            "OPTIONS": {"db": 1},
        },
    }
    settings.LOCKS = {
        "default": {},
        "plain": {"CACHE": "plain"},
        "location": {"LOCATION": "redis://ann:pw@H:7000?db=1"},
        "other database": {"LOCATION": "redis://h:7000/2"},
        "other port": {"LOCATION": "redis://h/1"},
        "other prefix": {"LOCATION": "redis://h:7000/1", "KEY_PREFIX": "other"},
    }
    places = {alias: lock_backends[alias].place for alias in settings.LOCKS}
    assert places["default"] == places["plain"] == places["location"]
    assert len(set(places.values())) == 4


def test_time_outs_may_be_strings_as_in_the_environment(
    settings: LazySettings, redis_url: str
) -> None:
    options = {"socket_timeout": "4", "socket_connect_timeout": "3"}
    settings.LOCKS = {"default": {"LOCATION": redis_url, "OPTIONS": options}}
    with lock("a"):
        pass


def test_a_time_out_of_none_is_the_default(settings: LazySettings) -> None:
    nothing = {"socket_timeout": None, "socket_connect_timeout": None}
    settings.LOCKS = {
        "default": {"LOCATION": "redis://h/0", "OPTIONS": nothing},
        "sentinel": {
            "LOCATION": "sentinel://h/main",
            "OPTIONS": {**nothing, "sentinel_kwargs": nothing},
        },
    }
    for alias in settings.LOCKS:
        backend = lock_backends[alias]
        assert isinstance(backend, RedisLockBackend)
        assert backend.source.timeout == 5.0


def test_time_outs_and_retries_of_connections_are_set_by_the_backend(
    settings: LazySettings,
) -> None:
    settings.LOCKS = {
        "default": {"LOCATION": "redis://h/0"},
        "other": {
            "LOCATION": "redis://h/0?retry_on_timeout=1",
            "OPTIONS": {"socket_timeout": 2, "health_check_interval": 9},
        },
    }
    for alias, timeout in (("default", 5.0), ("other", 2.0)):
        backend = lock_backends[alias]
        assert isinstance(backend, RedisLockBackend)
        assert backend.source.timeout == timeout
        connection = backend.source.connection()
        assert connection.socket_timeout == connection.socket_connect_timeout == timeout
        assert connection.retry._retries == 0
        assert connection.health_check_interval == 0
