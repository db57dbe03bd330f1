from __future__ import annotations

from typing import Any

import pytest

from django_redislock import LockUnavailable, lock_backends
from django_redislock.backends.base import Extension, Page
from django_redislock.operations import selection
from django_redislock.operations.criteria import Criteria
from django_redislock.operations.selection import Search, Selection, ranks
from tests.management.holds import add_alias, hold, without_redis

BOTH = ["default", "memory"]


def select(aliases: list[str], globs: tuple[str, ...] = ()) -> Selection:
    search = Search(aliases, Criteria(globs=tuple(globs)))
    found = list(search)
    return Selection(found, len(found), search.silent)


def names(found: list[selection.Found]) -> list[str]:
    return [one.hold.name for one in found]


def test_ranks_run_through_all_backends_without_a_gap() -> None:
    for number in range(5):
        hold(f"a{number}", "default", lease=10 + number)
        hold(f"b{number}", "memory", lease=10 + number)
    pages = [ranks(BOTH, start, start + 3) for start in range(0, 12, 3)]
    assert [len(page.found) for page in pages] == [3, 3, 3, 1]
    assert {page.total for page in pages} == {10}
    assert [name for page in pages for name in names(page.found)] == [
        *(f"a{number}" for number in range(5)),
        *(f"b{number}" for number in range(5)),
    ]


def test_ranks_ask_each_backend_for_no_more_than_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        hold(f"a{number}", "default")
    asked = []
    original = lock_backends["default"].list

    def recorded(start: int, stop: int) -> Page:
        asked.append((start, stop))
        return original(start, stop)

    monkeypatch.setattr(lock_backends["default"], "list", recorded)
    ranks(BOTH, 2, 4)
    assert asked == [(2, 4)]


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
        (["order:1"], {"order:1"}),
        (["order:1", "Order:1", "absent"], {"order:1", "Order:1"}),
        (["absent*"], set()),
    ],
)
@pytest.mark.parametrize("using", BOTH)
def test_names_are_chosen_by_glob(globs: list[str], expected: set[str], using: str) -> None:
    for name in ("order:1", "order:2", "Order:1", "a[b]", "заказ:1"):
        hold(name, using)
    chosen = select(BOTH, globs)
    assert set(names(chosen.found)) == expected
    assert {one.alias for one in chosen.found} <= {using}
    assert chosen.total == len(chosen.found) == len(expected)


def test_a_plain_name_is_looked_up_and_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    hold("order:1")
    monkeypatch.setattr(lock_backends["memory"], "list", None)
    assert names(select(["memory"], ["order:1"]).found) == ["order:1"]


def test_no_hold_is_overlooked_while_others_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = lock_backends["memory"]
    tokens = {f"a{number}": hold(f"a{number}", lease=10 + number) for number in range(6)}
    monkeypatch.setattr(selection, "CHUNK", 2)
    original, renewals = backend.list, iter(["a0", "a1"])

    def with_a_renewal_after_it(start: int, stop: int) -> Page:
        page = original(start, stop)
        for name in renewals:
            backend.extend([Extension(name, tokens[name], 60)])
            break
        return page

    monkeypatch.setattr(backend, "list", with_a_renewal_after_it)
    assert sorted(names(select(["memory"]).found)) == sorted(tokens)


def test_two_ways_to_the_same_locks_find_each_hold_once(settings: Any) -> None:
    add_alias(settings, "twin", CACHE="default")
    hold("a", "default")
    assert names(select(["default", "twin"]).found) == ["a"]
