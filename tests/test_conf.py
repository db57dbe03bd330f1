"""Setting ``LOCKS``: its defaults, and the errors for wrong entries."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest

from django_redislock import LockNotAcquired, lock, lock_backends
from django_redislock.backends.memory import MemoryLockBackend
from django_redislock.backends.redis import RedisLockBackend
from django_redislock.checks import check_settings
from django_redislock.exceptions import InvalidLockBackend

MEMORY = "django_redislock.backends.memory.MemoryLockBackend"


def test_the_settings_of_the_alias_are_the_defaults(settings: Any) -> None:
    settings.LOCKS = {
        "default": {
            "BACKEND": MEMORY,
            "LEASE": datetime.timedelta(seconds=70),
            "WAIT": 0,
            "OPTIONS": {"grant_lease": 1},
        }
    }
    with lock("a") as held:
        assert 60 < held.remaining() <= 70
        assert held.backend.grant_lease == 1
        with pytest.raises(LockNotAcquired), lock("a"):
            pass


def test_without_the_setting_the_default_cache_is_used(settings: Any) -> None:
    del settings.LOCKS
    backend = lock_backends["default"]
    assert isinstance(backend, RedisLockBackend)
    config = backend.config
    assert (config.cache, config.key_prefix, config.lease, config.wait) == (
        "default", "lock", 10, 10,
    )  # fmt: skip
    assert (config.renew, config.max_hold) == (True, None)


def test_changed_settings_take_effect(settings: Any) -> None:
    before = lock_backends["default"]
    assert lock_backends["default"] is before
    settings.LOCKS = {"default": {"BACKEND": MEMORY}}
    assert isinstance(lock_backends["default"], MemoryLockBackend)
    settings.LOCKS = {}
    assert isinstance(lock_backends["default"], RedisLockBackend)


def test_changed_caches_take_effect(settings: Any, redis_url: str) -> None:
    before = lock_backends["default"]
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"{redis_url}?db=3"}
    }
    after = lock_backends["default"]
    assert after is not before
    assert after.place != before.place


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"LEESE": 1}, r"LOCKS\['default'\] has an unknown entry 'LEESE'. Write one of BACKEND"),
        ({"LEASE": 0}, r"LOCKS\['default'\]\['LEASE'\] must be at least"),
        ({"WAIT": "1"}, r"LOCKS\['default'\]\['WAIT'\] must be a number"),
        ({"MAX_HOLD": 0}, r"LOCKS\['default'\]\['MAX_HOLD'\] must be at least 0.02 .* no end"),
        ({"MAX_HOLD": "1"}, r"LOCKS\['default'\]\['MAX_HOLD'\] must be a number .* no end"),
        ({"RENEW": "yes"}, r"LOCKS\['default'\]\['RENEW'\] must be True or False"),
        ({"KEY_PREFIX": "a{b}"}, r"LOCKS\['default'\]\['KEY_PREFIX'\] must not contain braces"),
        (
            {"KEY_PREFIX": "a\udc80"},
            r"LOCKS\['default'\]\['KEY_PREFIX'\] must be valid Unicode, not 'a\\udc80'",
        ),
        ({"WARN_OF_MISUSE": 1}, r"LOCKS\['default'\]\['WARN_OF_MISUSE'\] must be True or False"),
        (
            {"KEY_PREFIX": ""},
            r"LOCKS\['default'\]\['KEY_PREFIX'\] must be a string that is not empty",
        ),
        (
            {"KEY_PREFIX": 7},
            r"LOCKS\['default'\]\['KEY_PREFIX'\] must be a string that is not empty, not int",
        ),
        ({"LOCATION": ["redis://:secret@h/0"]}, "string that is not empty, not list.$"),
        ({"LOCATION": None}, "string that is not empty, not None.$"),
        ({"OPTIONS": []}, r"LOCKS\['default'\]\['OPTIONS'\] must be a dictionary"),
        (
            {"OPTIONS": {"colour": 1}},
            "does not fit RedisLockBackend: .*'colour'.*takes grant_lease",
        ),
        (
            {"OPTIONS": {"grant_lease": 0}},
            r"^LOCKS\['default'\]\['OPTIONS'\]\['grant_lease'\] must be at least 0.02 seconds",
        ),
        ({"BACKEND": "no.where"}, "cannot be imported"),
        ({"BACKEND": "datetime.date"}, "not a subclass of .*. Write 'django_redislock"),
        ({"CACHE": "nowhere"}, "which CACHES does not have"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_reported_at_first_use(settings: Any, entry: Any, says: Any) -> None:
    settings.LOCKS = {"default": entry}
    with pytest.raises(InvalidLockBackend, match=says):
        lock("a")


@pytest.mark.parametrize("alias", [1, None, ("a",)])
def test_an_alias_is_a_string(settings: Any, alias: Any) -> None:
    settings.LOCKS = {"default": {"BACKEND": MEMORY}, alias: {"BACKEND": MEMORY}}
    (message,) = check_settings()
    says = f'LOCKS has the alias {alias!r}, which is no string. Write one, such as "default".'
    assert message.msg == says


@pytest.mark.parametrize("alias", ["dfault", "Default", "defaults"])
def test_a_misspelt_default_is_not_replaced_by_the_default_cache(settings: Any, alias: str) -> None:
    """Its locks would be on another server, without a word."""
    settings.LOCKS = {alias: {"BACKEND": MEMORY}}
    (message,) = check_settings()
    assert f"LOCKS has no 'default', but {alias!r}" in message.msg
    settings.LOCKS |= {"default": {}}
    assert check_settings() == []


def test_another_alias_is_used_beside_the_default_cache(settings: Any) -> None:
    settings.LOCKS = {"reports": {"BACKEND": MEMORY}}
    assert check_settings() == []
    assert isinstance(lock_backends["default"], RedisLockBackend)


def test_an_alias_may_be_the_name_of_an_attribute(settings: Any) -> None:
    settings.LOCKS = {"__class__": {"BACKEND": MEMORY}}
    with lock("a", using="__class__") as held:
        assert held.backend.config.alias == "__class__"
    with pytest.raises(InvalidLockBackend, match="There is no lock backend '__dict__'"):
        lock("a", using="__dict__")


@pytest.mark.parametrize("endless", [None, math.inf])
def test_an_endless_max_hold_is_the_same_in_settings_and_options(
    settings: Any, endless: float | None
) -> None:
    settings.LOCKS = {"default": {"BACKEND": MEMORY, "MAX_HOLD": endless}}
    with lock("a") as held:
        assert held.backend.config.max_hold is None
        assert held.holder
        assert held.holder.renews_for is None
    settings.LOCKS = {"default": {"BACKEND": MEMORY, "MAX_HOLD": 60}}
    with lock("a", max_hold=endless) as held:
        assert held.holder
        assert held.holder.renews_for == (60 if endless is None else None)


def test_warn_of_misuse_none_is_the_same_as_no_entry(settings: Any) -> None:
    settings.LOCKS = {"default": {"BACKEND": MEMORY, "WARN_OF_MISUSE": None}}
    for settings.DEBUG in (True, False):
        assert lock("a").backend.config.warn == settings.DEBUG
