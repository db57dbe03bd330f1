"""Summary above the list: its numbers and its links."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from redis import Redis

from django_redislock import lock_backends
from django_redislock.figures import hour
from django_redislock.figures.meter import Batch
from django_redislock.figures.tallies import MINUTE, Tally
from django_redislock.operations import summary
from tests.admin.pages import PAGE, client_of, names, page, text_of
from tests.management.holds import add_alias, aged, fall_silent, hold, queue, without_redis

pytestmark = pytest.mark.django_db

BOTH = pytest.mark.parametrize("using", ["default", "memory"])


def said(html: str) -> list[str]:
    """The answers on a page."""
    part = html.partition('id="redislock-summary"')[2].partition("</ul>")[0]
    return [text_of(one) for one in part.split("</li>")[:-1]]


def links(html: str) -> list[str]:
    part = html.partition('id="redislock-summary"')[2].partition("</ul>")[0]
    return [unescape(one) for one in re.findall(r'href="([^"]*)"', part)]


def whole(client: Client) -> str:
    """The summary that the script of the page requests."""
    return page(client, f"{PAGE}summary/")


def without_rate(answers: list[str]) -> list[str]:
    return [one.rpartition("> ")[2] for one in answers if "per second" not in one]


@BOTH
def test_the_numbers_of_holds_and_waiters_are_exact_on_every_page(
    admin_client: Client, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "LOOK_AT", 1)
    hold("other", "default" if using == "memory" else "memory")
    for name in "ab":
        hold(name, using)
    for name in "aab":
        queue(name, using)
    for query in ({}, {"q": "nothing"}, {"o": "-age"}, {"backend": using}):
        answers = without_rate(said(page(admin_client, **query)))
        assert answers == ["3 locks held", "2 with waiters", "Sort by urgency"]


def test_the_whole_summary_names_holds_that_need_attention(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold("fine", "default")
    hold("late")
    hold("over", renews_for=5)
    queue("late")
    fall_silent(monkeypatch, "memory", "late", "over")
    answers = without_rate(said(whole(admin_client)))
    assert answers[0] == "3 locks held"
    assert re.fullmatch(r"1 with waiters, longest wait \d\.\d s", answers[1])
    assert answers[2:] == ["1 past MAX_HOLD", "1 lost contact", "Sort by urgency"]
    for link, shown in zip(links(whole(admin_client)), [3, 1, 1, 1], strict=False):
        assert len(names(page(admin_client, link))) == shown


def test_numbers_of_a_partial_look_are_marked_as_at_least(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "LOOK_AT", 2)
    for number in range(4):
        hold(f"a{number}")
        queue(f"a{number}")
    fall_silent(monkeypatch, "memory", "a0", "a1")
    answers = without_rate(said(whole(admin_client)))
    assert answers[0] == "4 locks held"
    assert re.fullmatch(r"4 with waiters, longest wait at least \d\.\d s", answers[1])
    assert answers[2:4] == ["at least 0 past MAX_HOLD", "at least 2 lost contact"]


def test_the_rate_is_that_of_the_last_minute_or_two(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch("1", {"order:*": Tally(acquired=120, waits=[120] + [0] * 23)})
    monkeypatch.setattr(hour, "wall_time", lambda: 1_000_000 * MINUTE + 50.0)
    lock_backends["memory"].add_tallies(batch)
    monkeypatch.setattr(hour, "wall_time", lambda: 1_000_001 * MINUTE + 20.0)
    (rate,) = [one for one in said(whole(admin_client)) if "per second" in one]
    assert rate.endswith("1.5 acquired per second")


def test_holds_that_need_attention_are_sorted_to_the_top(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, lease in (("fine", 20), ("waited", 30), ("old wait", 40), ("late", 60)):
        hold(name, lease=lease)
    aged(monkeypatch, "memory", {"waited": 1, "old wait": 1}, waiters=1)
    assert names(page(admin_client, o="attention")) == ["waited", "old wait", "fine", "late"]
    fall_silent(monkeypatch, "memory", "late")
    assert names(page(admin_client, o="attention"))[0] == "late"


def test_a_detached_hold_needs_no_process(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_redislock.operations.states.runs", lambda holder: False)
    hold("kept", lease=90)
    hold("left", lease=120)
    aged(monkeypatch, "memory", {"kept": 1}, detached=True)
    html = page(admin_client, o="attention")
    assert names(html) == ["left", "kept"]
    assert html.count("redislock-gone") == 1


def test_a_silent_backend_may_hold_more(admin_client: Client, settings: Any) -> None:
    without_redis(settings, "default")
    hold("a")
    for html in (page(admin_client), whole(admin_client)):
        assert without_rate(said(html))[0] == "at least 1 lock held"
    settings.LOCKS = {"default": settings.LOCKS["default"]}
    for html in (page(admin_client), whole(admin_client)):
        assert said(html) == []


def test_two_ways_to_the_same_locks_count_each_lock_once(
    admin_client: Client, settings: Any
) -> None:
    add_alias(settings, "twin", CACHE="default")
    hold("a", "default")
    queue("a", "default")
    for html in (page(admin_client), page(admin_client, backend="twin"), whole(admin_client)):
        held, waited, *_others = without_rate(said(html))
        assert held == "1 lock held"
        assert waited.startswith("1 with waiters")


def test_the_summary_requires_the_permission_to_view(client: Client) -> None:
    assert client_of().get(f"{PAGE}summary/").status_code == 403
    viewer = client_of("view_lock", username="viewer")
    assert said(whole(viewer))
    assert viewer.post(f"{PAGE}summary/").status_code == 405


def test_the_list_reads_no_holds_for_the_summary(
    admin_client: Client, redis_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    backend = lock_backends["default"]
    original = backend.entries

    def recorded(start: int = 0, stop: int = 100) -> Any:
        asked.append((start, stop))
        return original(start, stop)

    monkeypatch.setattr(backend, "entries", recorded)
    with Redis.from_url(redis_url):
        page(admin_client, backend="default")
        assert sorted(asked) == [(0, 0), (0, 100)]
        asked.clear()
        page(admin_client)
    # With several backends, their sizes are read first.
    assert asked == [(0, 0)]
