"""Tree of the waits: ``listlocks --waits``."""

from __future__ import annotations

import io
import re
import secrets
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.management.holds import claim, hold, without_redis


def listed(stream: io.StringIO | None = None, **options: Any) -> list[str]:
    stream = stream or io.StringIO()
    call_command("listlocks", waits=True, stdout=stream, no_color=True, **options)
    return [re.sub(r"\d+\.\d s", "N s", line) for line in stream.getvalue().splitlines()]


def take(who: str, name: str, using: str = "memory", stay: float = 0) -> None:
    fields = {"what": who, "host": f"web-{who}", "pid": 5, "owner": who}
    claim(name, secrets.token_hex(16), using, stay=stay, **fields)


def test_a_tree_is_indented() -> None:
    take("a", "x")
    take("b", "y", "default")
    take("b", "x", stay=60)
    take("c", "y", "default", stay=60)
    assert listed() == [
        "x: held by a, web-a, pid 5, main, for N s",
        "  b, web-b, pid 5, main, waiting for N s",
        "    y: held by b, web-b, pid 5, main, for N s",
        "      c, web-c, pid 5, main, waiting for N s",
    ]
    assert len(listed(using="memory")) == 2


def test_a_deadlock_comes_first() -> None:
    for who, name in ("ax", "by"):
        take(who, name)
    take("a", "y", stay=60)
    take("b", "x", stay=60)
    first, *tree = listed()
    assert first == (
        "Deadlock: a, web-a, pid 5, main waits for “y”; b, web-b, pid 5, main waits for “x”"
    )
    assert len(tree) == 5
    assert tree[-1].endswith("(see above)")


def test_an_empty_tree_says_that_there_are_no_waiters() -> None:
    hold("a")
    assert listed() == ["There are no waiters at the moment."]


def test_a_silent_backend_is_an_error_and_the_others_are_listed(settings: Any) -> None:
    without_redis(settings, "down")
    take("a", "x")
    take("b", "x", stay=60)
    stream = io.StringIO()
    with pytest.raises(CommandError, match="down"):
        listed(stream)
    assert len(stream.getvalue().splitlines()) == 2


@pytest.mark.parametrize(
    "options", [{"watch": 2.0}, {"format": "json"}, {"name": ["a"]}, {"waiters": True}, {"max": 5}]
)
def test_other_arguments_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="--waits can only be combined with --using") as caught:
        listed(**options)
    assert caught.value.returncode == 2
