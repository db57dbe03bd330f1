from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.test import Client
from django.utils import translation

from django_redislock import LockUnavailable, lock, lock_backends
from tests.admin.pages import PAGE, RELEASE, client_of, page, references, release, text_of
from tests.management.holds import hold, is_held, queue, without_redis

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("using", ["default", "memory"])
def test_selected_holds_are_shown_and_then_released(admin_client: Client, using: str) -> None:
    token = hold("order:42", using, lease=27, what="shop.checkout", label="alice", host="web-9")
    other = hold("order:43", using, lease=40)
    queue("order:42", using)
    chosen = references(page(admin_client))[0]
    html = admin_client.post(RELEASE, {"hold": chosen}).content.decode()
    asked = text_of(html)
    assert "order:42" in asked
    assert "order:43" not in asked
    assert "shop.checkout for alice web-9" in asked
    assert f"{token[:8]}…" in asked
    assert "within 9.0 s" in asked
    assert is_held("order:42", token, using), "asking releases nothing"
    assert token not in html
    assert "1 lock was released by force." in release(admin_client, html)
    assert not is_held("order:42", token, using)
    assert is_held("order:43", other, using)


def test_no_page_has_a_whole_token(admin_client: Client) -> None:
    token = hold("a")
    list_page = page(admin_client)
    pages = [
        list_page,
        page(admin_client, f"{PAGE}memory_3Aa/change/"),
        admin_client.post(RELEASE, {"hold": references(list_page)}).content.decode(),
    ]
    for html in pages:
        assert len(references(html)) == 1
        assert token not in html
        assert token[8:] not in html


def test_many_are_released_at_once(admin_client: Client) -> None:
    tokens = {name: hold(name) for name in "abc"}
    assert "3 locks were released by force." in release(admin_client, page(admin_client))
    assert not any(is_held(name, token) for name, token in tokens.items())
    assert LogEntry.objects.count() == 3


@pytest.mark.parametrize("using", ["default", "memory"])
def test_a_hold_that_has_changed_is_not_released(admin_client: Client, using: str) -> None:
    seen = hold("a", using)
    html = page(admin_client)
    lock_backends[using].release("a", seen)
    later = hold("a", using)
    said = release(admin_client, html)
    assert "1 hold had ended or changed since it was shown, and was left alone: “a”" in said
    assert "released by force." not in said
    assert is_held("a", later, using)
    assert LogEntry.objects.count() == 0


def test_a_hold_that_changes_during_the_release_is_not_recorded(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold("a")
    html = page(admin_client)
    monkeypatch.setattr(lock_backends["memory"], "force_release", lambda name, token: False)
    assert "left alone: “a”" in release(admin_client, html)
    assert LogEntry.objects.count() == 0, "what was not done is not recorded"


def test_the_confirmation_names_holds_that_have_changed(admin_client: Client) -> None:
    seen = hold("gone")
    hold("a")
    html = page(admin_client)
    lock_backends["memory"].release("gone", seen)
    asked = text_of(admin_client.post(RELEASE, {"hold": references(html)}).content.decode())
    assert asked.index("left alone") < asked.index("gone", asked.index("left alone"))
    assert "This lock will be released" in asked


def test_the_user_the_holder_and_the_reason_are_recorded(
    admin_client: Client, admin_user: User, caplog: pytest.LogCaptureFixture
) -> None:
    token = hold("order:42", what="shop.checkout", host="web-9", pid=4242)
    with caplog.at_level(logging.WARNING, "django_redislock"):
        release(admin_client, page(admin_client), reason="hung since noon")
    entry = LogEntry.objects.get()
    assert entry.user == admin_user
    assert entry.action_flag == CHANGE
    assert entry.object_repr == "order:42"
    message = entry.get_change_message()
    for part in ("memory", "shop.checkout", "web-9, pid 4242", f"{token[:8]}…", "hung since noon"):
        assert part in message
    assert token not in message
    (record,) = caplog.messages
    assert "order:42" in record
    assert "by admin, reason: hung since noon" in record
    assert token not in record


def test_the_history_links_to_the_page_of_the_name(admin_client: Client) -> None:
    hold("order/4 2:ü", "default")
    release(admin_client, page(admin_client), reason="because")
    address = LogEntry.objects.get().get_admin_url()
    html = page(admin_client, address)
    assert "order/4 2:ü" in html
    assert "because" in text_of(html)
    assert address in admin_client.get("/admin/").content.decode()


def test_the_record_is_in_the_language_of_the_site(admin_client: Client) -> None:
    hold("a")
    html = page(admin_client)
    data = {"hold": references(html), "confirmed": "yes"}
    with translation.override("de"):
        admin_client.post(RELEASE, data)
    assert LogEntry.objects.get().get_change_message().startswith("Released by force")


def test_a_release_that_cannot_be_recorded_is_not_done(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = hold("a")
    html = page(admin_client)

    def fail(self: LogEntry, **kwargs: Any) -> None:
        raise DatabaseError("read-only")

    monkeypatch.setattr(LogEntry, "save", fail)
    said = release(admin_client, html)
    assert "“a” may still be held: The release cannot be recorded: read-only" in said
    assert is_held("a", token)


@pytest.mark.parametrize("name", ["a\x00b", "x" * 1000, "\u202e<script>", "🎟" * 250])
def test_any_name_can_be_released(admin_client: Client, name: str) -> None:
    token = hold(name, label="\ud800")
    assert "1 lock was released" in release(admin_client, page(admin_client), reason="🎟\u202e")
    assert not is_held(name, token)
    assert "\x00" not in LogEntry.objects.get().object_id


def test_a_release_returns_to_the_same_list(admin_client: Client) -> None:
    hold("a")
    html = page(admin_client, backend="memory", o="-ttl")
    (back,) = re.findall(r'name="back" value="([^"]*)"', html)
    data = {"hold": references(html), "confirmed": "yes", "back": back.replace("&amp;", "&")}
    assert admin_client.post(RELEASE, data)["Location"] == f"{PAGE}?backend=memory&o=-ttl"


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example/", "?\r\nX-Evil: 1"])
def test_a_release_never_redirects_elsewhere(admin_client: Client, back: str) -> None:
    hold("a")
    data = {"hold": references(page(admin_client)), "confirmed": "yes", "back": back}
    response = admin_client.post(RELEASE, data)
    assert response["Location"].startswith(f"{PAGE}?")
    assert "X-Evil" not in response.headers


def test_a_release_from_the_page_of_a_name_returns_there(admin_client: Client) -> None:
    hold("a")
    path = f"{PAGE}memory_3Aa/change/"
    data = {"hold": references(page(admin_client, path)), "confirmed": "yes", "back": "detail"}
    assert admin_client.post(RELEASE, data)["Location"] == path


@pytest.mark.parametrize(
    "value",
    ["", "[]", "x", "[1, 2, 3]", '["absent", "a", "x"]', '["memory", "", "x"]', "[" * 9999, "null"],
)
def test_an_invalid_reference_releases_nothing(admin_client: Client, value: str) -> None:
    token = hold("a")
    response = admin_client.post(RELEASE, {"hold": value, "confirmed": "yes"}, follow=True)
    assert "Select the locks to release first." in response.content.decode()
    assert is_held("a", token)


def test_a_reference_with_the_mark_of_another_hold_releases_nothing(admin_client: Client) -> None:
    hold("a")
    token = hold("b")
    (first, _second) = references(page(admin_client))
    forged = first.replace('"a"', '"b"')
    response = admin_client.post(RELEASE, {"hold": forged, "confirmed": "yes"}, follow=True)
    assert "left alone" in response.content.decode()
    assert is_held("b", token)


def test_a_get_request_releases_nothing(admin_client: Client) -> None:
    token = hold("a")
    data = {"hold": references(page(admin_client)), "confirmed": "yes"}
    assert admin_client.get(RELEASE, data)["Location"] == PAGE
    assert is_held("a", token)


def test_a_release_requires_a_csrf_token(admin_user: User) -> None:
    token = hold("a")
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    data = {"hold": references(page(client)), "confirmed": "yes"}
    assert client.post(RELEASE, data).status_code == 403
    assert is_held("a", token)


def test_a_user_who_may_only_view_can_release_nothing(admin_client: Client) -> None:
    token = hold("a")
    data = {"hold": references(page(admin_client)), "confirmed": "yes"}
    viewer = client_of("view_lock")
    for path in (PAGE, f"{PAGE}memory_3Aa/change/"):
        html = page(viewer, path)
        assert references(html) == []
        assert RELEASE not in html
    assert viewer.post(RELEASE, data).status_code == 403
    assert is_held("a", token)


def test_a_release_requires_both_permissions(admin_client: Client) -> None:
    token = hold("a")
    data = {"hold": references(page(admin_client)), "confirmed": "yes"}
    assert client_of("release_lock").post(RELEASE, data).status_code == 403
    assert is_held("a", token)
    client_of("view_lock", "release_lock", username="eve").post(RELEASE, data)
    assert not is_held("a", token)


def test_redis_that_goes_down_is_reported(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = {name: hold(name, lease=lease) for lease, name in enumerate("abc", 100)}
    other = hold("on another", "default")
    data = {"hold": [*references(page(admin_client, backend="memory"))]}
    data["hold"] += references(page(admin_client, backend="default"))
    original, asked = lock_backends["memory"].force_release, []

    def fail(name: str, token: str) -> bool:
        asked.append(name)
        if name == "b":
            raise LockUnavailable("it went down", name=name)
        return original(name, token)

    monkeypatch.setattr(lock_backends["memory"], "force_release", fail)
    said = release(admin_client, "", **data)
    for name in "bc":
        assert f"“{name}” may still be held: it went down" in said
    assert "2 locks were released by force." in said
    assert [name for name, token in tokens.items() if is_held(name, token)] == ["b", "c"]
    assert not is_held("on another", other, "default")
    assert asked == ["a", "b"], "each question to a server that hangs takes a time-out"
    assert LogEntry.objects.count() == 2


def test_redis_that_is_down_at_the_confirmation_is_reported(
    admin_client: Client, settings: Any
) -> None:
    hold("a", "default")
    html = page(admin_client)
    without_redis(settings, "default")
    data = {"hold": references(html)}
    assert "may still be held" in text_of(
        admin_client.post(RELEASE, data, follow=True).content.decode()
    )


def test_many_locks_that_may_still_be_held_are_counted(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        hold(f"name {number}")
    html = page(admin_client)

    def fail(name: str, token: str) -> bool:
        raise LockUnavailable("it did not answer", name=name)

    monkeypatch.setattr(lock_backends["memory"], "force_release", fail)
    said = release(admin_client, html)
    assert said.count("may still be held: it did not answer") == 10
    assert "And 2 more" in said
    assert LogEntry.objects.count() == 0


def test_a_holder_in_this_process_is_notified(admin_client: Client) -> None:
    held = lock("a", using="memory")
    held.acquire()
    release(admin_client, page(admin_client))
    assert held.lost
    assert not held.held
