"""Records of releases by force, even after failures."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, connection
from django.test import Client

from django_redislock import LockUnavailable, lock_backends
from django_redislock.admin.references import address_of
from django_redislock.admin.releases import releases_of
from django_redislock.models import Lock
from tests.admin.pages import PAGE, page, references, release
from tests.management.holds import hold, is_held
from tests.rows.databases import ON_EACH


class Everything:
    """A router to one database."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return self.alias

    db_for_write = db_for_read


@pytest.mark.django_db(transaction=True)
def test_an_error_of_the_database_ends_the_releases_and_says_what_was_released(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not roll back the entries of earlier releases, not even with ATOMIC_REQUESTS."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    first, *others = hold("a"), hold("b", lease=90), hold("c", lease=95)
    html, save, calls = page(admin_client), LogEntry.save, []

    def fail_at_the_second(self: LogEntry, **kwargs: Any) -> None:
        calls.append(self)
        if len(calls) == 2:
            raise DatabaseError("full")
        save(self, **kwargs)

    monkeypatch.setattr(LogEntry, "save", fail_at_the_second)
    said = release(admin_client, html)
    assert "1 lock was released by force." in said
    for name, token in zip("bc", others, strict=True):
        assert f"“{name}” may still be held: The release cannot be recorded: full" in said
        assert is_held(name, token)
    assert "The release of 'b' by force cannot be recorded" in caplog.text
    assert not is_held("a", first)
    assert [entry.object_repr for entry in LogEntry.objects.all()] == ["a"]


@pytest.mark.django_db
@pytest.mark.parametrize("asked", [True, False])
def test_the_log_names_releases_without_an_answer(
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    asked: bool,
) -> None:
    hold("a")
    html = page(admin_client)

    def no_answer(*args: Any) -> bool:
        error = LockUnavailable.of("a", "may be held")
        error.asked = asked
        raise error

    monkeypatch.setattr(lock_backends["memory"], "force_release", no_answer)
    assert "“a” may still be held" in release(admin_client, html)
    assert not LogEntry.objects.exists()
    assert ("No answer to the forced release of 'a'" in caplog.text) == asked


@pytest.mark.django_db
def test_a_name_that_no_database_can_store_has_a_history(admin_client: Client) -> None:
    hold("a\x00b")
    release(admin_client, page(admin_client), reason="because")
    assert releases_of(address_of("memory", "a\x00b")).count() == 1
    assert "because" in page(admin_client, f"{PAGE}memory_3Aa%00b/change/")


@ON_EACH
def test_the_history_of_a_name_has_no_entries_of_similar_names(
    database: str, settings: Any
) -> None:
    """MariaDB and MySQL compare strings by a collation that treats these as equal."""
    settings.DATABASE_ROUTERS = [Everything(database)]
    ContentType.objects.clear_cache()
    user, about = User.objects.create_user("bob"), ContentType.objects.get_for_model(Lock)
    names = ["order:_1", "Order:_1", "order:_1 ", "\u00f6rder:_1", "order:_1order:_1", "100%\\"]
    for name in names:
        LogEntry.objects.create(
            user=user, content_type=about, object_id=f"memory:{name}", action_flag=CHANGE
        )
    for name in names:
        found = releases_of(address_of("memory", name))
        assert [entry.object_id for entry in found] == [f"memory:{name}"]
    ContentType.objects.clear_cache()


@pytest.mark.django_db
def test_the_first_locks_found_are_released_from_any_page(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_redislock.admin.base.BaseLockAdmin.release_at_once", 3)
    for number in range(8):
        hold(f"n{number}", lease=60 + number)
    data = {"all_found": "1", "back": "?p=2"}
    asked = admin_client.post(f"{PAGE}release/", data).content.decode()
    assert references(asked) == references(page(admin_client))[:3]


@pytest.mark.django_db(transaction=True)
def test_the_log_names_a_release_whose_entry_cannot_be_committed(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = hold("a")
    html = page(admin_client)

    def cut_off() -> None:
        raise DatabaseError("the connection was cut")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "commit", cut_off)
        assert "“a” may still be held" in release(admin_client, html, reason="because")
    assert not is_held("a", token)
    assert not LogEntry.objects.exists()
    assert "Released 'a' by force" in caplog.text
    assert "by admin, reason: because" in caplog.text
