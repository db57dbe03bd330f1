from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html import escape, unescape
from typing import Any

import pytest
from django.contrib.admin import site
from django.http import QueryDict
from django.test import Client
from django.urls import NoReverseMatch, reverse

from django_redislock import lock_backends
from django_redislock.admin import LockAdmin
from django_redislock.admin.live import LiveLocks
from django_redislock.backends.base import SHARED, Entry, Hold
from django_redislock.models import Lock
from tests.admin.pages import PAGE, RELEASE, names, page, references, rows, text_of
from tests.management.holds import aged, hold, queue, without_redis

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("using", ["default", "memory"])
def test_a_live_lock_is_shown_with_all_its_fields(admin_client: Client, using: str) -> None:
    token = hold(
        "order:42", using, lease=90, limit=3,
        what="shop.views.checkout", label="alice", host="web-9", pid=4242, thread="worker-2",
    )  # fmt: skip
    queue("order:42", using)
    html = page(admin_client)
    (row,) = rows(html)
    name, alias, remaining, holder, waiters, since, limit, fence = row
    assert (name, alias, limit) == ("order:42", using, "1 of 3 held")
    assert re.fullmatch(r"1 longest \d+\.\d s", waiters)
    assert re.fullmatch(r"1 min (\d+ s )?of 1 min 30 s held", remaining)
    # The part before the last two names is an element of its own.
    assert holder == "shop. views.checkout for alice web-9, pid 4242, worker-2"
    assert ">shop.</span>views.checkout</bdi>" in html
    assert re.fullmatch(r"\d\d:\d\d:\d\d for \d+\.\d s", since), "the day goes without saying"
    assert fence.isdigit()
    assert token not in html


def test_the_grant_lease_after_a_hand_over_is_shown(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold("order:42", "default", lease=90)
    aged(monkeypatch, "default", {"order:42": 1.3}, remaining=0.7, term=2.0)
    html = page(admin_client)
    (row,) = rows(html)
    assert row[2] == "0.7 s of 2.0 s held"
    assert 'max="2.00" value="0.70"' in html


def test_the_remaining_lease_runs_down_in_order(admin_client: Client) -> None:
    for lease in (50, 20, 40):
        hold(f"{lease} s", lease=lease)
    assert names(page(admin_client)) == ["20 s", "40 s", "50 s"]


def test_each_hold_of_a_shared_lock_is_a_row(admin_client: Client) -> None:
    hold("catalogue", limit=SHARED, label="alice")
    hold("catalogue", limit=SHARED, label="bob")
    shown = rows(page(admin_client))
    assert [row[0] for row in shown] == ["catalogue", "catalogue"]
    assert [row[6] for row in shown] == ["shared, 2 held"] * 2


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x" * 1000, "x" * 1000),
        ("<script>alert('x')</script>", escape("<script>alert('x')</script>")),
        ('" onmouseover="alert(1)', escape('" onmouseover="alert(1)')),
        ("a\nb\r\t\x00", r"a\nb\r\t\x00"),
        ("\u202edrowssap", r"\u202edrowssap"),
        ("заказ:42 注文 طلب 🎟", "заказ:42 注文 طلب 🎟"),
        ("{{ 7 }}{% now %}", "{{ 7 }}{% now %}"),
        ("   ", r"\x20\x20\x20"),
        ("order:42 ", r"order:42\x20"),
        ("\u3164", r"\u3164"),
        ("\u200d\n \u2800", r"\u200d\n\x20\u2800"),
        ("👩\u200d👩", "👩\u200d👩"),
    ],
)
@pytest.mark.parametrize("using", ["default", "memory"])
def test_any_name_and_holder_can_be_shown(
    admin_client: Client, name: str, shown: str, using: str
) -> None:
    hold(name, using, what=name, label=name, host=name, thread=name)
    html = page(admin_client)
    (row,) = rows(html)
    assert row[0] == shown
    assert row[3].count(shown) == 4
    if name.strip() not in shown:
        assert name not in html
    assert names(page(admin_client, q=unescape(shown))) == [shown]


def test_a_holder_that_is_not_valid_unicode_does_not_break_the_page(admin_client: Client) -> None:
    hold("a", label="\ud800")
    assert "for ?" in rows(page(admin_client))[0][3]


def test_the_locks_come_in_pages(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LockAdmin, "list_per_page", 2)
    for number in range(3):
        hold(f"a{number}", "default", lease=100 + number)
        hold(f"b{number}", "memory", lease=100 + number)
    assert names(page(admin_client)) == ["a0", "a1"]
    second = page(admin_client, p=2)
    assert names(second) == ["a2", "b0"]
    assert "6 locks" in second
    assert 'href="?p=3"' in second
    assert names(page(admin_client, p=3)) == ["b1", "b2"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("9", ["c"]), (f"{10**40}", ["c"]), ("0", ["a"]), ("-1", ["a"]), ("x", ["a"]), ("", ["a"])],
)
def test_a_page_number_out_of_range_shows_the_nearest_page(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, wanted: str, expected: list[str]
) -> None:
    monkeypatch.setattr(LockAdmin, "list_per_page", 1)
    for lease, name in enumerate("abc", 100):
        hold(name, "default", lease=lease)
    assert names(page(admin_client, p=wanted)) == expected


def test_one_backend_can_be_chosen(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LockAdmin, "list_per_page", 1)
    for name in ("a", "b"):
        hold(name, "default")
    hold("c", "memory")
    html = page(admin_client, backend="memory")
    assert names(html) == ["c"]
    assert "1 lock\n" in html
    assert 'href="?backend=default"' in html
    assert 'href="?backend=default&amp;p=2"' in page(admin_client, backend="default")
    assert "3 locks" in page(admin_client, backend="absent")


def test_one_backend_alone_needs_neither_filter_nor_column(
    admin_client: Client, settings: Any
) -> None:
    settings.LOCKS = {"default": settings.LOCKS["default"]}
    hold("a", "default")
    html = page(admin_client)
    assert len(rows(html)[0]) == 7
    assert "?backend=" not in html


def test_the_page_says_that_no_lock_is_held(admin_client: Client) -> None:
    html = page(admin_client)
    assert "No lock is held at the moment." in html
    assert "result_list" not in html


def test_redis_down_is_reported_and_the_other_locks_are_shown(
    admin_client: Client, settings: Any
) -> None:
    without_redis(settings, "down")
    hold("a")
    html = page(admin_client)
    assert "The locks of the backend “down” cannot be shown." in html
    assert "refused" in html
    assert names(html) == ["a"]


def test_redis_down_is_not_shown_as_no_locks(admin_client: Client, settings: Any) -> None:
    without_redis(settings, "default")
    html = page(admin_client)
    assert "The locks of the backend “default” cannot be shown." in html
    assert "No lock is held" not in html
    assert "0 locks" not in html


@pytest.mark.parametrize("use_tz", [True, False])
def test_since_is_in_the_time_zone_of_the_site(
    admin_client: Client, settings: Any, use_tz: bool
) -> None:
    settings.USE_TZ = use_tz
    settings.TIME_ZONE = "Asia/Kathmandu"
    hold("a")
    html = page(admin_client)
    stamp = re.search(r'<time datetime="([^"]*)" title="[^"]*">([^<]*)</time>', html)
    assert stamp is not None
    since = datetime.fromisoformat(stamp[1])
    assert since.utcoffset() == timedelta(hours=5, minutes=45)
    assert timedelta(0) <= datetime.now(timezone.utc) - since < timedelta(minutes=1)
    assert stamp[2].endswith(f"{since:%H:%M:%S}")


def test_the_page_is_in_the_language_of_the_site(admin_client: Client, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    hold("a", lease=1000, limit=SHARED)
    html = page(admin_client)
    assert "Verbleibende Lease" in html
    assert "geteilt, gehalten von 1" in html
    assert "No lock" not in html


def test_the_index_only_links_to_the_page(admin_client: Client) -> None:
    html = admin_client.get("/admin/").content.decode()
    assert f'href="{PAGE}"' in html
    assert f"{PAGE}add/" not in html


@pytest.mark.parametrize("suffix", ["add/", "a/change/", "a/delete/", "a/history/"])
def test_nothing_can_be_added_changed_or_deleted(admin_client: Client, suffix: str) -> None:
    assert admin_client.get(PAGE + suffix).status_code == 404


def test_the_page_refuses_post_requests(admin_client: Client) -> None:
    assert admin_client.head(PAGE).status_code == 200
    assert admin_client.post(PAGE, {"action": "delete_selected"}).status_code == 405
    assert reverse("admin:django_redislock_lock_changelist") == PAGE
    with pytest.raises(NoReverseMatch):
        reverse("admin:django_redislock_lock_add")


def test_a_hold_from_before_today_is_shown_with_its_date(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold("a")
    original = lock_backends["memory"].look_up

    def yesterday(entries: Sequence[Entry]) -> list[Hold]:
        return [replace(one, since=one.since - timedelta(days=1)) for one in original(entries)]

    monkeypatch.setattr(lock_backends["memory"], "look_up", yesterday)
    (row,) = rows(page(admin_client))
    assert f"{datetime.now(timezone.utc) - timedelta(days=1):%Y}" in row[5]


def test_a_holder_that_does_not_renew_notices_a_release_when_its_lease_ends(
    admin_client: Client,
) -> None:
    hold("order:42", lease=27, renews_for=0.0)
    (chosen,) = references(page(admin_client))
    asked = text_of(admin_client.post(RELEASE, {"hold": chosen}).content.decode())
    assert re.search(r"within 2\d\.\d s", asked)


def test_the_list_has_what_other_themes_of_the_admin_read() -> None:
    hold("order:42")
    model_admin = site.get_model_admin(Lock)
    live = LiveLocks(model_admin, QueryDict())
    assert live.model_admin is model_admin  # django-unfold
    names = [choices.parameter_name for choices in live.filter_specs]
    assert names == ["backend", "state", "kind", "host"]
    # django-grappelli takes it for a field of a model.
    assert not any(hasattr(choices, "field") for choices in live.filter_specs)
