"""Fixtures for users, in projects like theirs."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.processes import process_gone
from tests.testing.projects import PLUGIN, ROOT, Project

WORDS = ("first", "second")
SOME_TESTS = """
import pytest

from django_redislock import LockNotAcquired, lock, lock_backends
from django_redislock.testing import assert_locked, assert_not_locked

KEPT = []


def test_locks_are_in_memory(locks):
    with lock("a", wait=0):
        assert_locked("a")
    assert type(lock_backends["default"]).__name__ == "MemoryLockBackend"


def test_leaves_one(locks):
    KEPT.append(lock("left", what="shop.buy"))
    KEPT[0].acquire()


def test_finds_nothing_of_it(locks):
    assert_not_locked("left")
    assert not KEPT[0].held


def test_held_elsewhere(held_elsewhere):
    other = held_elsewhere("a")
    with pytest.raises(LockNotAcquired, match="for elsewhere"):
        lock("a").__enter__()
    other.release()
    with lock("a"):
        pass
    with held_elsewhere("b"):
        assert_locked("b")
    assert_not_locked("b")
    held_elsewhere("until the end of the test", lease=60)


def test_other_settings(locks, held_elsewhere):
    locks.override(LEASE=7)
    assert lock_backends["default"].config.lease == 7
    assert lock_backends["default"].config.wait == 0


def test_a_server(locks, redislock_server, held_elsewhere):
    locks.override(redislock_server.url, WAIT=3)
    assert type(lock_backends["default"]).__name__ == "RedisLockBackend"
    with lock("a") as held:
        assert held.owned()
    held_elsewhere("b")
    print(f"first {redislock_server.pid}.")


def test_the_same_server(locks, redislock_server, held_elsewhere):
    print(f"second {redislock_server.pid}.")
    locks.override(redislock_server.url)
    assert_not_locked("b")
    held_elsewhere("b")


def test_the_settings_are_back():
    config = lock_backends["default"].config
    assert (config.lease, config.backend.rpartition(".")[2]) == (10, "RedisLockBackend")
"""


def test_the_fixtures(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("test_some.py", SOME_TESTS)
    outcome = project.pytest()
    assert outcome.names("FAILED") == [], outcome.text
    assert len(outcome.names("PASSED")) == SOME_TESTS.count("def test_"), outcome.text
    assert outcome.names("ERROR") == ["test_leaves_one"]
    assert "now released: 'left' (by shop.buy (" in outcome.text
    assert "Traceback" not in outcome.text
    (first,), (second,) = (re.findall(rf"{word} (\d+)\.", outcome.text) for word in WORDS)
    assert first == second
    assert process_gone(int(first))


ORDERS = """
import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from django_redislock import lock, lock_backends

AS_CONFIGURED = (django_settings.LOCKS, django_settings.CACHES)


@pytest.fixture
def more(settings):
    settings.LOCKS = {"default": {"LEASE": 20, "LOCATION": "redis://127.0.0.1:1/3"}}


def test_settings_first(settings, locks):
    settings.LANGUAGE_CODE = "de"
    settings.LOCKS = {"default": {"LEASE": 21, **settings.LOCKS["default"]}}
    with lock("a"):
        pass


def test_locks_first(locks, settings):
    settings.LANGUAGE_CODE = "de"
    locks.override(LEASE=22)
    settings.LANGUAGE_CODE = "fr"
    assert lock_backends["default"].config.lease == 22


def test_elsewhere(more, held_elsewhere, settings):
    settings.LANGUAGE_CODE = "de"
    held_elsewhere("a")
    assert lock_backends["default"].config.lease == 20


def test_asked_for_late(settings, request):
    settings.LANGUAGE_CODE = "de"
    request.getfixturevalue("locks").override(WAIT=1)
    settings.LANGUAGE_CODE = "fr"
    with override_settings(LANGUAGE_CODE="es"), lock("a"):
        pass


def test_dropped(settings, locks):
    settings.LANGUAGE_CODE = "de"
    with pytest.warns(ResourceWarning):
        lock("dropped").acquire()


def test_mistaken(locks):
    locks.override(LEAS=5)


@pytest.fixture(autouse=True)
def as_configured():
    yield
    assert (django_settings.LOCKS, django_settings.CACHES) == AS_CONFIGURED
    assert django_settings.LANGUAGE_CODE == "en-us"
    assert type(lock_backends["default"]).__name__ == "RedisLockBackend"
"""


def test_settings_are_restored_in_any_order(tmp_path: Path) -> None:
    """This includes settings that another fixture changes during the test."""
    project = Project(tmp_path)
    project.write("test_orders.py", ORDERS)
    outcome = project.pytest()
    assert outcome.names("FAILED") == ["test_mistaken"], outcome.text
    assert "Did you mean 'LEASE'?" in outcome.text
    assert outcome.names("ERROR") == ["test_dropped"], outcome.text
    assert "now released: 'dropped' (by test_orders.test_dropped" in outcome.text


def test_the_plugin_needs_no_settings_in_a_project_without_locks(tmp_path: Path) -> None:
    """It does not need pytest-django either. Only tests that use locks need Django's settings."""
    project = Project(tmp_path, settings=None)
    project.write(
        "test_some.py",
        """
import sys

from django.conf import settings

def test_nothing_was_read_or_loaded():
    assert not settings.configured
    assert "django_redislock.testing.plugin" in sys.modules
    for name in ("django.test", "django_redis", "django_redislock.testing.simulation"):
        assert name not in sys.modules

def test_locks(locks):
    pass
""",
    )
    outcome = project.pytest("-p", "no:django")
    assert outcome.names("PASSED") == ["test_nothing_was_read_or_loaded"], outcome.text
    assert outcome.names("ERROR") == ["test_locks"]
    assert "ImproperlyConfigured" in outcome.text


def test_pytest_finds_the_plugin() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    table = pyproject.partition("[project.entry-points.pytest11]\n")[2].partition("\n\n")[0]
    assert table.strip() == f'django_redislock = "{PLUGIN}"'
