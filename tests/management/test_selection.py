from __future__ import annotations

from typing import Any

import pytest

from django_redislock import LockUnavailable, lock_backends
from django_redislock.backends.base import Entries, Extension
from django_redislock.operations.filters import Criteria
from django_redislock.operations.selection import Found, Search, Selection, ranks
from tests.management.holds import add_alias, hold, without_redis

BOTH = ["default", "memory"]


def select(aliases: list[str], globs: tuple[str, ...] = ()) -> Selection:
    search = Search(aliases, Criteria(globs=tuple(globs)))
    found = list(search)
    return Selection(found, len(found), search.silent)


def names(found: list[Found]) -> list[str]:
    return [one.hold.name for one in found]


def test_ranks_run_through_all_backends_without_a_gap() -> None:
    for number in range(5):
        hold(f"a{number}", "default", lease=100 + number)
        hold(f"b{number}", "memory", lease=100 + number)
    pages = [ranks(BOTH, start, start + 3) for start in range(0, 12, 3)]
    assert [len(page.found) for page in pages] == [3, 3, 3, 1]
    assert {page.total for page in pages} == {10}
    assert [name for page in pages for name in names(page.found)] == [
        *(f"a{number}" for number in range(5)),
        *(f"b{number}" for number in range(5)),
    ]


def test_ranks_read_no_more_than_the_page_from_each_backend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(5):
        hold(f"a{number}", "default")
        hold(f"b{number}", "memory")
    asked = []
    original = lock_backends["default"].entries

    def recorded(start: int, stop: int) -> Entries:
        asked.append((start, stop))
        return original(start, stop)

    monkeypatch.setattr(lock_backends["default"], "entries", recorded)
    ranks(BOTH, 2, 4)
    assert asked == [(0, 0), (2, 4)]  # first the number of locks of each backend
    asked.clear()
    ranks(["default"], 2, 4)
    assert asked == [(2, 4)]
    asked.clear()
    ranks(["memory", "default"], 2, 4)
    assert asked == [(0, 0)]


def test_a_backend_that_does_not_answer_does_not_hide_the_others(settings: Any) -> None:
    without_redis(settings, "down")
    hold("a")
    for chosen in (ranks(["down", "memory"], 0, 10), select(["down", "memory"])):
        assert names(chosen.found) == ["a"]
        assert chosen.total == 1
        (silent,) = chosen.silent
        assert silent.alias == "down"
        assert isinstance(silent.error, LockUnavailable)


def test_a_backend_that_is_wrongly_configured_does_not_hide_the_others(settings: Any) -> None:
    add_alias(settings, "wrong", CACHE="absent")
    hold("a")
    chosen = ranks(["wrong", "memory"], 0, 10)
    assert names(chosen.found) == ["a"]
    assert "absent" in str(chosen.silent[0].error)


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        ([], {"order:1", "order:2", "Order:1", "a[b]", "заказ:1"}),
        (["order:*"], {"order:1", "order:2"}),
        (["order:?", "заказ:*"], {"order:1", "order:2", "заказ:1"}),
        (["order:[!1]"], {"order:2"}),
        (["a[[]b]"], {"a[b]"}),
        (["a[b]"], {"a[b]"}),  # as it is shown
        (["order:1"], {"order:1"}),
        (["order:1", "Order:1", "absent"], {"order:1", "Order:1"}),
        (["absent*"], set()),
    ],
)
@pytest.mark.parametrize("using", BOTH)
def test_names_are_selected_by_glob(globs: list[str], expected: set[str], using: str) -> None:
    for name in ("order:1", "order:2", "Order:1", "a[b]", "заказ:1"):
        hold(name, using)
    chosen = select(BOTH, globs)
    assert set(names(chosen.found)) == expected
    assert {one.alias for one in chosen.found} <= {using}
    assert chosen.total == len(chosen.found) == len(expected)


def test_a_plain_name_is_looked_up_and_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    hold("order:1")
    monkeypatch.setattr(lock_backends["memory"], "walk", None)
    assert names(select(["memory"], ["order:1"]).found) == ["order:1"]


def test_no_hold_is_overlooked_while_others_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = lock_backends["default"]
    everyone = [f"a{number}" for number in range(60)]
    tokens = {name: hold(name, "default", lease=100 + place) for place, name in enumerate(everyone)}
    monkeypatch.setattr("django_redislock.backends.redis.overview.listing.CHUNK", 2)
    search, seen = Search(["default"], Criteria()), []
    for one in search:
        seen.append(one.hold.name)
        backend.extend(Extension(one.hold.name, tokens[one.hold.name], 600))
    assert sorted(seen) == sorted(everyone)
    assert (search.seen, search.total, search.matched) == (60, 60, 60)


def test_a_selection_by_name_reads_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a1", "a2", "b1"):
        hold(name, "default")
    monkeypatch.setattr(lock_backends["default"], "look_up", None)
    found = Search(["default"], Criteria(globs=("a*",))).listed()
    assert sorted(one.entry.name for one in found) == ["a1", "a2"]


def test_a_backend_that_goes_down_during_the_walk_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold("a")
    hold("b", "default")

    def gone(entries: object) -> None:
        raise LockUnavailable("gone", name="")

    monkeypatch.setattr(lock_backends["default"], "look_up", gone)
    for found in (select(BOTH), ranks(BOTH, 0, 10)):
        assert names(found.found) == ["a"]
        assert [one.alias for one in found.silent] == ["default"]


def test_two_ways_to_the_same_locks_find_each_hold_once(settings: Any) -> None:
    add_alias(settings, "twin", CACHE="default")
    hold("a", "default")
    assert names(select(["default", "twin"]).found) == ["a"]


@pytest.mark.parametrize("using", BOTH)
def test_a_name_is_found_by_the_form_in_which_it_is_shown(using: str) -> None:
    for name in ("line1\nline2", "line1 line2", "tab\there"):
        hold(name, using)
    for globs in ((r"line1\nline2",), (r"*1\nl*",), ("line1\nline2",)):
        assert names(select([using], globs).found) == ["line1\nline2"]
