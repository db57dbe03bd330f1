from __future__ import annotations

import gc
import secrets
import unittest
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import SimpleTestCase, TestCase, override_settings

from django_redislock import Lock, lock, lock_backends, locked
from django_redislock.backends.memory import MemoryLockBackend
from django_redislock.backends.redis import RedisLockBackend
from django_redislock.conf import LockConfig
from django_redislock.exceptions import InvalidLockBackend
from django_redislock.local.registry import registry
from django_redislock.testing import (
    LocksLeft,
    assert_locked,
    assert_not_locked,
    held_elsewhere,
    override_locks,
)
from tests.support.processes import wait_until

NAME = "an override"


@pytest.fixture
def aliases(settings: Any) -> None:
    """Settings of a project whose locks no test should reach."""
    settings.LOCKS = {
        "default": {"LEASE": 33, "CACHE": "default", "OPTIONS": {"grant_lease": 1}},
        "jobs": {"WAIT": 5, "CACHE": "default", "KEY_PREFIX": "jobs"},
    }


@pytest.mark.parametrize("wrong", [print, int, 6379])
def test_override_locks_without_parentheses_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"the address of .* parentheses: @override_locks\(\)"):
        override_locks(wrong)


@pytest.mark.parametrize("wrong", ["127.0.0.1:6379", "localhost", ""])
def test_an_address_without_a_scheme_is_refused(wrong: str) -> None:
    with pytest.raises(TypeError, match=r"not '.*'\. Write redis://host:6379/0\.$"):
        override_locks(wrong)


def test_a_class_of_pytest_is_refused_with_what_to_write() -> None:
    with pytest.raises(TypeError, match=r'TestFeed is neither.*usefixtures\("locks"\).*override'):

        @override_locks(WAIT=0)
        class TestFeed:
            def test_it(self) -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [generator, async_generator])
def test_a_generator_such_as_a_fixture_is_refused(function: Any) -> None:
    """Its code would run after the override, and so take the real locks."""
    with pytest.raises(TypeError, match=r"generator\(\): write `with override_locks\(\):` in it"):
        override_locks()(function)


@pytest.mark.usefixtures("aliases")
def test_all_aliases_are_in_memory_and_keep_their_times() -> None:
    with override_locks():
        assert {type(lock_backends[alias]) for alias in lock_backends} == {MemoryLockBackend}
        assert lock_backends["default"].config.lease == 33
        assert lock_backends["jobs"].config.wait == 5
    assert type(lock_backends["default"]) is RedisLockBackend


@pytest.mark.usefixtures("aliases")
def test_given_values_apply_to_all_aliases() -> None:
    with override_locks(LEASE=7, OPTIONS={"grant_lease": 3}):
        assert {lock_backends[alias].config.lease for alias in lock_backends} == {7}
        assert lock_backends["jobs"].grant_lease == 3
        assert lock_backends["jobs"].config.wait == 5


def test_without_settings_there_is_the_default_alias(settings: Any) -> None:
    del settings.LOCKS
    with override_locks():
        assert type(lock_backends["default"]) is MemoryLockBackend


@pytest.mark.usefixtures("aliases")
def test_locks_in_redis_have_separate_prefixes(redis_url: str) -> None:
    caches = django_settings.CACHES
    with override_locks(redis_url), held_elsewhere("feed:7"):
        assert type(lock_backends["jobs"]) is RedisLockBackend
        assert_not_locked("feed:7", using="jobs")
        first = lock_backends["default"].config.key_prefix
        assert first.startswith("lock-test-")
        with override_locks(redis_url):
            assert_not_locked("feed:7")
    with override_locks(redis_url, KEY_PREFIX=first):
        assert lock_backends["default"].config.key_prefix == first
    assert caches == django_settings.CACHES


@override_locks()
def decorated() -> type:
    return type(lock_backends["default"])


@override_locks()
async def decorated_coroutine() -> type:
    async with lock(NAME):
        assert_locked(NAME)
    return type(lock_backends["default"])


async def test_override_locks_decorates_functions() -> None:
    assert type(lock_backends["default"]) is RedisLockBackend
    assert decorated() is MemoryLockBackend
    assert await decorated_coroutine() is MemoryLockBackend
    assert type(lock_backends["default"]) is RedisLockBackend


@override_locks(LEASE=7)
class DecoratedTests(SimpleTestCase):
    def setUp(self) -> None:
        assert lock_backends["default"].config.lease == 7

    def test_the_locks_are_in_memory_and_free(self) -> None:
        assert_not_locked(NAME)
        held_elsewhere(NAME).acquire()
        assert type(lock_backends["default"]) is MemoryLockBackend

    test_and_free_for_each_test = test_the_locks_are_in_memory_and_free


@override_locks(WAIT=3)
@override_settings(LOCKS={"default": {"LEASE": 44}})
class ClassTests(TestCase):
    """What is made once for all tests of a class takes locks as well."""

    config: LockConfig

    @classmethod
    def setUpTestData(cls) -> None:
        with lock("data") as held:
            cls.config = held.backend.config

    def test_the_locks_of_the_class_are_in_memory(self) -> None:
        assert self.config.backend == "django_redislock.backends.memory.MemoryLockBackend"
        assert (self.config.wait, self.config.lease) == (3, 44)


def test_a_test_case_that_leaves_a_lock_fails() -> None:
    @override_locks()
    class Leaving(unittest.TestCase):
        def test_it(self) -> None:
            keep(lock(NAME)).acquire()

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Leaving).run(result)
    ((_, traceback),) = result.failures
    assert f"LocksLeft: Still held at the end, and now released: '{NAME}'" in traceback


_kept: list[Lock] = []


def keep(handle: Lock) -> Lock:
    """Keep the handle, since a dropped handle has a warning of its own."""
    _kept.append(handle)
    return handle


@pytest.fixture(params=["memory", "redis"])
def place(request: pytest.FixtureRequest, redis_url: str) -> Callable[[], Any]:
    """A function that makes an override of either kind, with the same locks each time."""
    arguments = () if request.param == "memory" else (redis_url,)
    prefix = f"test-override-{secrets.token_hex(6)}"  # other processes may run this test, too
    return lambda: override_locks(*arguments, KEY_PREFIX=prefix)


def test_locks_left_by_a_test_are_named_and_released(place: Callable[[], Any]) -> None:
    with pytest.raises(LocksLeft, match=r"'an override' \(by a\.b \(.*, pid \d+, MainThread\)\)\."):
        with place():
            handle = keep(lock(NAME, what="a.b", lease=60))
            handle.acquire()
    assert not handle.held
    with place():
        assert_not_locked(NAME)


def test_an_error_of_the_test_is_not_hidden(place: Callable[[], Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        with place():
            keep(lock(NAME, lease=60)).acquire()
            raise ZeroDivisionError
    with place():
        assert_not_locked(NAME)


def test_detached_and_minimum_holds_may_be_left() -> None:
    @locked(NAME, min_hold=60)
    def work() -> None:
        pass

    with override_locks():
        work()
        detached = lock("detached")
        detached.acquire()
        detached.detach(60)
        assert_locked(NAME)


def test_earlier_holds_are_kept() -> None:
    with lock(NAME) as held:
        with override_locks():
            assert_not_locked(NAME)
        held.check()
        assert_locked(NAME)


def test_a_server_that_is_gone_does_not_matter() -> None:
    from django_redislock.testing import EmbeddedServer

    with pytest.raises(LocksLeft, match=f"'{NAME}'"):
        with EmbeddedServer() as server, override_locks(server.url):
            keep(lock(NAME)).acquire()
            server.kill()


def test_the_lock_of_a_dropped_handle_counts_as_left(place: Callable[[], Any]) -> None:
    def drop() -> None:
        lock(NAME, lease=60).acquire()
        gc.collect()

    with pytest.raises(LocksLeft, match="'an override' \\(by ") as left:
        with place():
            with pytest.warns(ResourceWarning, match="dropped"):
                drop()
            # It is not renewed any more, and this process does not know of it.
            wait_until(lambda: not registry.holds)
    assert str(left.value).count(NAME) == 1
    with place():
        assert_not_locked(NAME)


def test_a_wrong_entry_is_reported_at_once() -> None:
    for entry in ({"LEAS": 5}, {"LEASE": -5}, {"OPTIONS": {"grant_leas": 3}}):
        with pytest.raises(InvalidLockBackend):
            override_locks(**entry).enable()
        assert type(lock_backends["default"]) is RedisLockBackend
    with pytest.raises(InvalidLockBackend, match="Did you mean 'LEASE'"):
        override_locks(LEAS=5).enable()


@pytest.mark.parametrize("entry", [{"LOCATION": "redis://127.0.0.1:1/0"}, {"CACHE": "absent"}])
def test_the_original_location_of_the_locks_does_not_matter(
    settings: Any, redis_url: str, entry: dict[str, Any]
) -> None:
    settings.LOCKS = {"default": {**entry, "WAIT": 3, "OPTIONS": {"grant_lease": 3}}}
    for override in (override_locks(), override_locks(redis_url)):
        with override, lock(NAME, wait=0):
            assert lock_backends["default"].config.wait == 3


@pytest.mark.parametrize("first", ["locks", "settings"])
def test_settings_may_end_before_or_after_the_locks(first: str) -> None:
    """Fixtures may change settings in any order during a test."""
    plain = django_settings.LOCKS
    locks, more = override_locks(LEASE=7), override_locks(LEASE=8)
    other = override_settings(SOMETHING=1)
    locks.enable()
    other.enable()
    more.enable()
    ends = [more.disable, locks.disable, other.disable]
    for end in ends if first == "locks" else [other.disable, more.disable, locks.disable]:
        end()
    assert plain == django_settings.LOCKS
    assert not hasattr(django_settings, "SOMETHING")
    assert type(lock_backends["default"]) is RedisLockBackend
