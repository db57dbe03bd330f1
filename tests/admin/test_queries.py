"""Search, filters and order: of all locks if that is cheap, else marked as partial."""

from __future__ import annotations

import re
import secrets
import socket
import time
from collections.abc import Sequence
from typing import Any

import pytest
from django.test import Client

from django_redislock import LockUnavailable, lock_backends
from django_redislock.admin import LockAdmin
from django_redislock.backends.base import SHARED, Entry, Grant, Hold
from tests.admin.pages import names, page, text_of
from tests.management.holds import add_alias, aged, claim, fall_silent, hold, queue, without_redis

pytestmark = pytest.mark.django_db

BOTH = pytest.mark.parametrize("using", ["default", "memory"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("order", ["order:1", "Order:2", "reorder"]),
        ("order:*", ["order:1"]),
        ("order:1", ["order:1"]),
        (" reorder ", ["reorder"]),
        ("ORDER:1", ["order:1"]),
        ("[oO]rder:?", ["order:1", "Order:2"]),
        ("注", ["注文"]),
        ("absent", []),
        ("%", []),
    ],
)
@BOTH
def test_names_are_searched(
    admin_client: Client, text: str, expected: list[str], using: str
) -> None:
    for lease, name in enumerate(("order:1", "Order:2", "reorder", "注文"), 20):
        hold(name, using, lease=lease)
    html = page(admin_client, q=text)
    assert names(html) == expected
    assert ("No live lock matches." in html) == (not expected)


def test_the_search_text_stays_in_the_field_and_is_escaped(admin_client: Client) -> None:
    html = page(admin_client, q='"><script>', o="-ttl", state="waited")
    assert 'value="&quot;&gt;&lt;script&gt;"' in html
    assert '<input type="hidden" name="o" value="-ttl">' in html
    assert '<input type="hidden" name="state" value="waited">' in html


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"kind": "mutex"}, {"plain", "waited", "dead", "ending"}),
        ({"kind": "semaphore"}, {"three"}),
        ({"kind": "shared"}, {"readers"}),
        ({"state": "waited"}, {"waited"}),
        ({"state": "gone"}, {"dead"}),
        ({"state": "silent"}, {"ending"}),
        ({"state": "held"}, {"plain", "waited", "dead", "three", "readers"}),
        ({"state": "renewing"}, set()),
        ({"state": "overdue"}, set()),
        ({"state": "orphaned"}, {"dead"}),
        ({"host": "web-9"}, {"three"}),
        ({"host": "web-*"}, set()),
        ({"backend": "default"}, {"readers"}),
        ({"backend": "memory", "state": "waited", "q": "a", "kind": "mutex"}, {"waited"}),
        ({"kind": "absent", "state": "absent", "backend": "absent", "o": "absent"}, None),
    ],
)
def test_filters_select_locks(
    admin_client: Client,
    query: dict[str, str],
    expected: set[str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold("plain")
    hold("waited")
    queue("waited")
    hold("dead", host=socket.gethostname(), pid=2**22 + 1)
    hold("three", limit=3, host="web-9")
    hold("readers", "default", limit=SHARED)
    hold("ending")
    fall_silent(monkeypatch, "memory", "ending")
    every = {"plain", "waited", "dead", "three", "readers", "ending"}
    assert set(names(page(admin_client, **query))) == (every if expected is None else expected)


def test_links_of_filters_keep_the_search_and_the_order(admin_client: Client) -> None:
    hold("a", host="web-9")
    html = page(admin_client, q="a", o="-age")
    links = re.findall(r'<a href="(\?[^"]*)"', html)
    assert "?q=a&amp;host=web-9&amp;o=-age" in links
    assert "?backend=memory&amp;q=a&amp;o=-age" in links
    assert "?o=-age" in links, "to clear the filters"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("ttl", "abc"),
        ("-ttl", "cba"),
        ("waiters", "acb"),
        ("-waiters", "bca"),
        ("age", "cab"),
        ("-age", "bac"),
        ("nonsense", "abc"),
    ],
)
@BOTH
def test_lists_are_ordered(
    admin_client: Client,
    order: str,
    expected: str,
    using: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, lease, waiters in (("a", 20, 0), ("b", 30, 2), ("c", 40, 1)):
        hold(name, using, lease=lease)
        for _number in range(waiters):
            queue(name, using)
    aged(monkeypatch, using, {"a": 50, "b": 90, "c": 10})
    html = page(admin_client, o=order, backend=using)
    assert "".join(names(html)) == expected
    wanted = {"": "ascending", "-": "descending"}
    sorts = re.findall(r'aria-sort="(\w+)"', html)
    assert len(sorts) == 3
    sign, by = re.fullmatch(r"(-?)(\w+)", order).groups()  # type: ignore[union-attr]
    assert sorts[["ttl", "waiters", "age", "nonsense"].index(by) % 3] == wanted[sign]


def test_pages_of_the_backward_order_have_no_gap(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LockAdmin, "list_per_page", 2)
    for number in range(3):
        hold(f"a{number}", "default", lease=100 + number)
        hold(f"b{number}", "memory", lease=100 + number)
    shown = [name for number in (1, 2, 3) for name in names(page(admin_client, o="-ttl", p=number))]
    assert shown == ["b2", "b1", "b0", "a2", "a1", "a0"]


def test_the_page_says_which_locks_were_not_examined(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LockAdmin, "look_at", 2)
    for number in range(5):
        hold(f"a{number}", "default", lease=100 + number)
    first = page(admin_client, o="-age", backend="default")
    assert "Only locks 1 to 2 of 5, in the order" in text_of(first)
    assert set(names(first)) == {"a0", "a1"}
    assert "?backend=default&amp;o=-age&amp;from=2" in first
    last = page(admin_client, o="-age", backend="default", **{"from": 4})
    assert "Only locks 5 to 5 of 5" in text_of(last)
    assert names(last) == ["a4"]
    assert "from=6" not in last
    assert "Only locks" not in page(admin_client, backend="default")


def test_a_link_past_the_last_lock_starts_over(admin_client: Client) -> None:
    hold("a", "default")
    html = page(admin_client, o="-age", **{"from": 1000})
    assert names(html) == ["a"]
    assert "Only locks" not in html


def test_a_whole_name_is_found_wherever_it_is(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LockAdmin, "look_through", 2)
    for number in range(5):
        hold(f"a{number}", "default", lease=100 + number)
    assert names(page(admin_client, q="a4")) == ["a4"]
    assert names(page(admin_client, q="a[4]")) == []


def test_a_search_by_name_reads_no_more_than_it_shows(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LockAdmin, "list_per_page", 2)
    for number in range(6):
        hold(f"{'ab'[number % 2]}{number}", lease=100 + number)
    read: list[str] = []
    original = lock_backends["memory"].look_up

    def look_up(entries: Sequence[Entry]) -> Sequence[Hold]:
        read.extend(entry.name for entry in entries)
        return original(entries)

    monkeypatch.setattr(lock_backends["memory"], "look_up", look_up)
    html = page(admin_client, q="a", p=2)
    assert names(html) == read == ["a4"]
    assert "3 locks" in html


def test_a_sorted_search_reads_only_the_locks_that_it_mentions(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LockAdmin, "look_at", 2)
    for number in range(6):
        hold(f"{'ab'[number % 2]}{number}", lease=100 + number)
    first = page(admin_client, q="a*", o="-age")
    assert set(names(first)) == {"a0", "a2"}
    assert "Only locks 1 to 4 of 6, in the order" in text_of(first)
    last = page(admin_client, q="a*", o="-age", **{"from": 4})
    assert names(last) == ["a4"]
    assert "Only locks 5 to 6 of 6" in text_of(last)


def test_a_search_result_has_pages(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LockAdmin, "list_per_page", 2)
    for number in range(5):
        hold(f"a{number}", "default", lease=100 + number)
    hold("b", "default")
    html = page(admin_client, q="a", p=3)
    assert names(html) == ["a4"]
    assert "5 locks" in html
    assert names(page(admin_client, q="a", p=9)) == ["a4"]


def test_two_ways_to_the_same_locks_show_each_hold_once(
    admin_client: Client, settings: Any
) -> None:
    add_alias(settings, "twin", CACHE="default")
    hold("a", "default")
    assert names(page(admin_client)) == ["a"]
    assert names(page(admin_client, q="a")) == ["a"]
    assert names(page(admin_client, backend="twin")) == ["a"]


def test_a_search_while_a_backend_is_down_shows_the_others(
    admin_client: Client, settings: Any
) -> None:
    without_redis(settings, "down")
    hold("a")
    html = page(admin_client, q="a", o="-waiters")
    assert names(html) == ["a"]
    assert "The locks of the backend “down” cannot be shown." in html


def test_a_backend_that_goes_down_before_the_exact_name_is_looked_up_is_reported(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inspect(name: str) -> Any:
        raise LockUnavailable("it went down", name=name)

    hold("a")
    monkeypatch.setattr(lock_backends["memory"], "inspect", inspect)
    assert "The locks of the backend “memory” cannot be shown." in page(admin_client, q="a")


def test_a_host_with_a_pattern_in_its_name_is_taken_literally(admin_client: Client) -> None:
    hold("a", host="web[1]*?")
    hold("b", host="web1xy")
    html = page(admin_client)
    (link,) = re.findall(r'href="(\?host=[^"]*1%5D[^"]*)"', html)
    assert names(page(admin_client, f"/admin/django_redislock/lock/{link}")) == ["a"]


@pytest.mark.parametrize("text", [r"line1\nline2", r"1\nL", r"*1\n*", "line1\nline2"])
def test_a_name_is_found_by_the_form_in_which_it_is_shown(admin_client: Client, text: str) -> None:
    hold("line1\nline2")
    hold("line1 line2")
    assert names(page(admin_client, q=text)) == [r"line1\nline2"]


def test_a_pattern_of_any_length_takes_no_time(admin_client: Client) -> None:
    hold("a")
    began = time.process_time()
    for text in ("[" * 100_000, "*a" * 50_000, "x" * 1_000_000):
        page(admin_client, q=text)
        page(admin_client, host=text)
    assert time.process_time() - began < 5


@BOTH
def test_a_token_that_holds_several_names_hides_none_of_them(
    admin_client: Client, using: str
) -> None:
    """Some projects use one token for all the locks of a job."""
    token = secrets.token_hex(16)
    for place, name in enumerate(("order:1", "order:10", "order:11")):
        assert isinstance(claim(name, token, using, lease=20 + place), Grant)
    for order in ("ttl", "waiters"):
        html = page(admin_client, q="order:1", o=order)
        assert names(html) == ["order:1", "order:10", "order:11"]
