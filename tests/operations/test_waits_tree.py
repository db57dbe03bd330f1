"""Tree of the waits, line by line."""

from __future__ import annotations

import re
import secrets
import sys
from typing import Any

import pytest
from django.utils.translation import override

from django_redislock.backends.base import Holder
from django_redislock.operations import waits_tree
from django_redislock.operations.waits import waits_of
from django_redislock.operations.waits_tree import branches, circle_in_words
from tests.management.holds import claim


def party(one: str) -> dict[str, Any]:
    return {"what": one, "host": "web", "pid": ord(one), "thread": "main", "owner": one}


def scene(**wishes: str) -> None:
    """``a="x>yz"``: a holds x, and waits for y and z."""
    for stay in (0, 60):
        for who, wish in wishes.items():
            for name in wish.split(">")[stay > 0 :][:1]:
                for char in name:
                    claim(char, secrets.token_hex(16), "memory", stay=stay, **party(who))


def drawn() -> list[str]:
    """Each line as its depth, and the name or the waiter."""
    lines = []
    for one in branches(waits_of(["memory"])):
        waiter = (
            "" if one.is_name or one.left_out else one.queue.waiting[one.place or 0].holder.what
        )
        text = f"+{one.left_out}" if one.left_out else waiter or one.name + "!" * one.again
        lines.append(f"{one.depth}{text}")
    return lines


def test_names_held_by_a_waiter_are_below_it() -> None:
    scene(a="x>", b="y>x", c="z>y", d=">z", e=">x")
    assert drawn() == ["0x", "1b", "2y", "3c", "4z", "5d", "1e"]


def test_a_circle_comes_first_and_ends_where_it_began() -> None:
    scene(f="q>", g=">q", a="x>y", b="y>x", c=">x")
    assert drawn() == ["0y", "1a", "2x", "3b", "4y!", "3c", "0q", "1g"]


def test_a_name_reached_twice_is_drawn_once() -> None:
    scene(a="xy>", b="z>xy", c=">z")
    assert drawn() == ["0x", "1b", "2z", "3c", "0y", "1b", "2z!"]


def test_only_some_waiters_of_a_long_queue_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits_tree, "MOST_WAITERS", 2)
    scene(a="x>", b=">x", c=">x", d="y>x", e=">y")
    assert drawn() == ["0x", "1b", "1c", "1+1", "0y", "1e"]


def test_a_chain_may_be_longer_than_the_stack() -> None:
    count = sys.getrecursionlimit() // 2 + 100
    for number in range(count):
        who = Holder(host="web", pid=1, owner=str(number))
        fields = {"host": who.host, "pid": who.pid, "owner": who.owner}
        claim(f"n{number}", secrets.token_hex(16), "memory", **fields)
        if number:
            claim(f"n{number - 1}", secrets.token_hex(16), "memory", stay=60, **fields)
    found = list(branches(waits_of(["memory"])))
    depth = max(one.depth for one in found)
    assert depth == 2 * (count - 2) + 1 > sys.getrecursionlimit()


def test_the_tree_is_described_in_words() -> None:
    scene(a="x>y", b="y>x")
    waits = waits_of(["memory"])
    place_a, place_b = "a, web, pid 97, main", "b, web, pid 98, main"
    (circle,) = waits.circles
    assert circle_in_words(circle) == [
        f"{place_a} waits for “y”",
        f"{place_b} waits for “x”",
    ]
    with override("de"):
        assert circle_in_words(circle)[0].endswith("wartet auf „y“")
    lines = [re.sub(r"\d+\.\d s", "N s", one.in_words) for one in branches(waits)]
    assert lines[0] == f"y: held by {place_b}, for N s"
    assert lines[1] == f"{place_a}, waiting for N s"
    assert lines[-1] == f"y: held by {place_b}, for N s (see above)"
