"""Page of hot names: figures of the last hour."""

from __future__ import annotations

import re
from html import escape, unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.admin.figures import HOT, count
from tests.admin.pages import PAGE, client_of, page, rows
from tests.management.holds import hold, without_redis

pytestmark = pytest.mark.django_db


def names(html: str) -> list[str]:
    return [row[0] for row in rows(html)]


@pytest.mark.parametrize("using", ["default", "memory"])
def test_a_family_is_shown_with_its_figures(admin_client: Client, using: str) -> None:
    count("order:*", using, waits=[0.0001] * 60 + [0.5] * 39 + [90], holds=[0.02] * 3, busy=1234)
    (row,) = rows(page(admin_client, HOT))
    name, alias, acquired, _spark, busy, lost, p50, p95, p99, longest, *holds = row
    assert (name, alias, acquired, busy, lost) == ("order:*", using, "100", "1234", "0")
    assert (p50, longest) == ("1 ms", "1 min 30 s")
    assert 256 <= int(p95.removesuffix(" ms")) <= int(p99.removesuffix(" ms")) <= 512
    assert holds[3] == "20 ms"


def test_the_most_acquired_family_comes_first_by_default(admin_client: Client) -> None:
    count("often", waits=[0.01] * 9)
    count("busy", waits=[0.01], busy=5)
    count("slow", waits=[3.0, 3.0])
    assert names(page(admin_client, HOT)) == ["often", "slow", "busy"]
    assert names(page(admin_client, HOT, o="busy"))[0] == "busy"
    html = page(admin_client, HOT, o="wait")
    assert names(html)[0] == "slow"
    assert html.count('aria-sort="descending"') == 1
    assert names(page(admin_client, HOT, o="nonsense")) == ["often", "slow", "busy"]


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("name", "again"),
        ("backend", "again"),
        ("acquired", "often"),
        ("busy", "busy"),
        *((order, "slow") for order in ("wait50", "wait", "wait99", "longest_wait")),
        *((order, "long") for order in ("hold50", "hold", "hold99", "longest_hold")),
    ],
)
def test_every_column_sorts(admin_client: Client, order: str, first: str) -> None:
    count("often", waits=[0.01] * 9)
    count("busy", waits=[0.01], busy=5)
    count("slow", waits=[3.0, 3.0])
    count("long", waits=[0.01], holds=[7.0, 7.0])
    count("again", waits=[0.01])
    html = page(admin_client, HOT, o=order)
    assert names(html)[0] == first
    direction = "ascending" if first == "again" else "descending"
    assert html.count(f'aria-sort="{direction}"') == 1
    headings = html.partition('id="hot_list"')[2].count('<th scope="col"')
    assert html.count("aria-sort=") == html.count("?o=") == headings == 13


@pytest.mark.parametrize(
    ("family", "found"),
    [
        ("order:*", {"order:1", "order:x"}),
        ("order:{id}", {"order:1", "order:x"}),
        ("report", {"report"}),
        ("cell[*]", {"cell[7]"}),
        ("cell[{number}]", {"cell[7]"}),
        ("set}}:{id}", {"set}:1"}),
        ("order:{" + "x" * 98 + "…", set()),
    ],
)
def test_a_family_links_to_its_locks(admin_client: Client, family: str, found: set[str]) -> None:
    for name in ("order:1", "order:x", "report", "other", "cell[7]", "set}:1"):
        hold(name, "default")
    hold("order:1", "memory")
    count(family, waits=[0.01])
    count("", waits=[0.01])
    links = set(re.findall(r'href="([^"]*\?backend=[^"]*)"', page(admin_client, HOT)))
    assert len(links) == 1, "all others are no family"
    html = page(admin_client, unescape(links.pop()))
    assert {row[0] for row in rows(html) if row} == found
    assert {row[1] for row in rows(html) if row} <= {"default"}


def ranking(html: str, title: str) -> list[str]:
    """The lines of a ranking, as text."""
    section = html.partition(f">{title}</h2>")[2].partition("</ol>")[0]
    items = re.findall(r"<li>(.*?)</li>", section, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", item).split()) for item in items]


def test_the_longest_waits_are_shown_with_their_time(admin_client: Client) -> None:
    for number, wait in enumerate((0.5, 90, 3, 7)):
        count(f"name{number}:*", waits=[wait])
    count("never", busy=3)
    lines = ranking(page(admin_client, HOT), "Longest waits")
    assert [line.partition(",")[0] for line in lines] == [
        "name1:* 1 min 30 s",
        "name3:* 7.0 s",
        "name2:* 3.0 s",
    ]
    assert all(re.search(r", after .*\d|noon|midnight", line) for line in lines)


def test_the_names_refused_most_often_are_shown(admin_client: Client) -> None:
    count("rare", waits=[0.1] * 9, busy=1)
    count("often", waits=[0.1] * 3, busy=40)
    count("never", waits=[0.1])
    assert ranking(page(admin_client, HOT), "Refused most often") == [
        "often 40 of 43 attempts",
        "rare 1 of 10 attempts",
    ]


@pytest.mark.parametrize(
    "family", ["<script>alert(1)</script>", "a\nb", "x" * 100, "注文:*", "{{ 7 }}"]
)
def test_any_family_can_be_shown(admin_client: Client, family: str) -> None:
    count(family, waits=[0.1])
    shown = escape(family.replace("\n", r"\n"))
    assert names(page(admin_client, HOT)) == [shown]


def test_families_beyond_the_limit_are_shown_together(admin_client: Client) -> None:
    count("", waits=[0.1])
    assert names(page(admin_client, HOT)) == ["all others"]


def test_two_aliases_of_one_server_are_counted_once(admin_client: Client, settings: Any) -> None:
    entry = settings.LOCKS["default"]
    settings.LOCKS = {"default": entry, "same": {**entry, "LEASE": 5}}
    count("a", waits=[0.1])
    assert len(rows(page(admin_client, HOT))) == 1


def test_one_backend_alone_needs_no_column(admin_client: Client, settings: Any) -> None:
    settings.LOCKS = {"default": settings.LOCKS["default"]}
    count("a", busy=1)
    (row,) = rows(page(admin_client, HOT))
    assert row[:5] == ["a", "0", "", "1", "0"]
    assert len(row) == 7


def test_the_page_says_that_nothing_was_counted(admin_client: Client) -> None:
    html = page(admin_client, HOT)
    assert "No lock was requested in the last hour." in html
    assert "hot_list" not in html
    assert "<figure" not in html


def test_the_page_says_that_counting_is_off(admin_client: Client, settings: Any) -> None:
    entry = {**settings.LOCKS["default"], "OPTIONS": {"metrics": False}}
    settings.LOCKS = {"default": entry}
    html = page(admin_client, HOT)
    assert "Nothing is counted for the backend “default”" in html
    assert "No lock was requested" not in html


def test_redis_down_is_reported_and_the_rest_is_shown(admin_client: Client, settings: Any) -> None:
    without_redis(settings, "down")
    count("a", "memory", waits=[0.1])
    html = page(admin_client, HOT)
    assert "The locks of the backend “down” cannot be shown." in html
    assert names(html) == ["a"]


def test_redis_down_is_not_shown_as_nothing_counted(admin_client: Client, settings: Any) -> None:
    without_redis(settings, "default")
    html = page(admin_client, HOT)
    assert "The locks of the backend “default” cannot be shown." in html
    assert "No lock was requested" not in html


def test_the_page_requires_the_permission_to_view() -> None:
    assert client_of("view_lock").get(HOT).status_code == 200
    assert client_of(username="nobody").get(HOT).status_code == 403
    assert Client().get(HOT).status_code == 302
    assert client_of("view_lock", username="other").post(HOT).status_code == 405


def test_the_list_and_the_page_link_to_each_other(admin_client: Client) -> None:
    assert reverse("admin:django_redislock_lock_hot") == HOT
    assert f'href="{HOT}"' in page(admin_client)
    assert f'href="{PAGE}"' in page(admin_client, HOT)
