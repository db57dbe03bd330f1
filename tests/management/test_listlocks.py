from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
import unicodedata
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_redislock import lock
from django_redislock.backends.base import SHARED
from tests.management.holds import hold, queue, without_redis
from tests.support.commands import Terminal

# The columns that operators need first.
ALWAYS = ["NAME", "LEFT", "HOLDER", "WAITERS", "STATE"]


def listed(stream: io.StringIO | None = None, **options: Any) -> list[str]:
    stream = stream or io.StringIO()
    call_command("listlocks", stdout=stream, no_color=True, **options)
    return stream.getvalue().splitlines()


def cells(line: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in line)


def test_each_line_shows_the_lock_and_its_holder() -> None:
    token = hold("order:42", what="shop.checkout", label="alice", host="web-9", pid=4242)
    queue("order:42")
    heading, line = listed()
    assert (
        " ".join(heading.split()) == "NAME LEFT HOLDER HELD FOR WAITERS LONGEST STATE LIMIT FENCE"
    )
    assert line.startswith("order:42 ")
    assert "shop.checkout, alice, web-9, pid 4242, main" in line
    assert re.search(r" 1  +\d+\.\d s  held  +1  ", line)
    assert int(line.split()[-1]) > 0
    assert token not in line
    assert token[:8] not in line


def test_the_limit_of_a_read_lock_is_shown_as_shared() -> None:
    hold("catalogue", limit=SHARED)
    assert " shared, 1 held " in listed()[1]


def test_the_backend_is_shown_if_there_are_several() -> None:
    hold("a", "default")
    hold("b", "memory")
    heading, *lines = listed()
    assert "BACKEND" in heading
    assert [line.split()[:2] for line in lines] == [["a", "default"], ["b", "memory"]]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100, 132, 250])
def test_no_line_is_wider_than_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    hold("x" * 1000, what="y" * 300)
    hold("注文:四十二" * 30, label="花子" * 50)
    hold("order:42", "default")
    lines = listed(Terminal())
    assert len(lines) == 4
    assert max(map(cells, lines)) <= columns
    assert any(line.startswith("order:42") for line in lines)
    assert sum("…" in line for line in lines) >= 2


@pytest.mark.parametrize(
    ("name", "places"),
    [("नमस्ते", 4), ("👩\u200d👩", 4), ("❤\ufe0f", 1), ("e\u0301", 1), ("注文", 4)],
)
def test_columns_are_aligned_with_any_name(name: str, places: int) -> None:
    hold(name)
    heading, line = listed()
    ends = line.index(" s ") + len(" s") - len(name) + places
    assert ends == heading.index("LEFT") + len("LEFT")


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("listlocks", {}),
        ("listlocks", {"format": "csv"}),
        ("clearlocks", {"all": True, "dry_run": True}),
    ],
)
def test_characters_that_a_stream_cannot_encode_are_escaped(
    command: str, options: dict[str, Any]
) -> None:
    hold("注文:é")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    call_command(command, stdout=stream, no_color=True, **options)
    stream.seek(0)
    assert r"\u6ce8\u6587:é" in stream.read()


class PlainTerminal(io.TextIOWrapper):
    """A terminal of this encoding."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("command", ["listlocks", "clearlocks"])
@pytest.mark.parametrize(("encoding", "mark"), [("ascii", "~"), ("cp1252", "…"), ("utf-8", "…")])
def test_escaped_characters_have_their_width(
    command: str, encoding: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    hold("注文:é" * 30, what="y" * 300)
    hold("order:42", label="花子")
    stream = PlainTerminal(io.BytesIO(), encoding=encoding)
    options = {} if command == "listlocks" else {"all": True, "dry_run": True}
    call_command(command, stdout=stream, no_color=True, **options)
    stream.seek(0)
    _heading, *lines = stream.read().splitlines()[:3]
    assert max(map(cells, lines)) <= 80
    assert sum(mark in line for line in lines) == 2
    assert len({cells(line[: line.index(" s ")]) for line in lines}) == 1


def test_a_terminal_shows_as_many_columns_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    hold("order:42", what="shop.checkout")
    headings = []
    for columns in (20, 60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        headings.append(listed(Terminal())[0])
    assert ["FENCE" in heading for heading in headings] == [False, False, False, True]
    assert ["LEFT" in heading for heading in headings] == [False, True, True, True]
    assert ["HOLDER" in heading for heading in headings] == [False, True, True, True]


# A holder with which these columns have their greatest width.
LONGEST = {"lease": 3600 * 24 * 300, "host": socket.gethostname(), "pid": 2**22 + 1}


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("holder", [{}, LONGEST], ids=["held", "ended"])
def test_a_narrow_terminal_still_shows_the_important_columns(
    columns: int, holder: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    hold("report:2026-11:region:north-west", what="shop.reports.monthly.build", **holder)
    queue("report:2026-11:region:north-west")
    heading, line = listed(Terminal())
    assert [one for one in heading.split() if one in ALWAYS] == ALWAYS
    name, rest = line.split("…", 1) if columns < 120 else (line[:20], line[20:])
    assert "report:2026-11".startswith(name[:14])
    assert " shop.re" in rest
    assert re.search(r"  1  .*(held|process has)", rest)
    assert len(line) <= columns


def test_a_holder_whose_process_has_ended_on_this_host_is_marked() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    hold("killed", host=socket.gethostname(), pid=process.pid)
    hold("alive", host=socket.gethostname(), pid=os.getpid())
    hold("elsewhere", host="web-9", pid=process.pid)
    detached = lock("detached", using="memory", lease=60)
    detached.acquire()
    detached.detach()
    states = {line.split()[0]: line for line in listed(using="memory")[1:]}
    assert {name: "process has ended" in line for name, line in states.items()} == {
        "killed": True,
        "alive": False,
        "elsewhere": False,
        "detached": False,
    }


def test_columns_stay_aligned_in_a_pipe() -> None:
    hold("a" * 100, what="x" * 30)
    hold("b", what="y" * 150, label="注文" * 40)
    hold("c")
    heading, *lines = listed()
    assert len({cells(line) for line in (heading, *lines)}) == 1
    assert "y" * 150 in "".join(lines)


@pytest.mark.parametrize(
    ("value", "force", "coloured"), [("", False, True), ("1", False, False), ("1", True, True)]
)
@pytest.mark.parametrize("command", ["listlocks", "clearlocks"])
def test_colours_can_be_switched_off(
    command: str, value: str, force: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    monkeypatch.setattr("django.core.management.color.supports_color", lambda: True)
    hold("a")
    options: dict[str, Any] = {"force_color": True} if force else {}
    if command == "clearlocks":
        options |= {"all": True, "dry_run": True}
    stream = Terminal()
    call_command(command, stdout=stream, **options)
    assert ("\x1b" in stream.getvalue()) == coloured


def test_output_to_a_file_is_not_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    hold("x" * 1000)
    assert "x" * 1000 in listed()[1]


def test_a_name_stays_on_its_line() -> None:
    hold("a\nb\x1b[31m\r")
    _, line = listed()
    assert line.startswith(r"a\nb\x1b[31m\r ")


def test_max_limits_the_number_of_locks() -> None:
    for number in range(5):
        hold(f"a{number}", lease=100 + number)
    lines = listed(max=2)
    assert [line.split()[0] for line in lines[1:3]] == ["a0", "a1"]
    assert lines[3:] == ["2 of 5 locks; --max 0 lists all."]
    assert listed(max=2, name="a[3-4]")[1].startswith("a3 ")
    assert len(listed(max=0)) == 6


def test_names_and_backends_can_be_selected() -> None:
    hold("a", "default")
    hold("a", "memory")
    hold("b", "memory")
    assert [line.split()[0] for line in listed(using="memory")[1:]] == ["a", "b"]
    assert len(listed(name=["b"])) == 2


def test_an_empty_list_says_so() -> None:
    assert listed() == ["No lock is held."]
    assert listed(name="a*") == ["No live lock matches."]


def test_backends_that_are_down_are_reported_after_the_list(settings: Any) -> None:
    without_redis(settings, "down")
    hold("a")
    stream = io.StringIO()
    with pytest.raises(CommandError, match=r"LOCKS\['down'\], .*refused") as caught:
        listed(stream)
    assert caught.value.returncode == 1
    assert "\na " in stream.getvalue()


def test_without_an_answer_the_list_is_not_said_to_be_empty(settings: Any) -> None:
    without_redis(settings, "down")
    stream = io.StringIO()
    with pytest.raises(CommandError):
        listed(stream, using="down")
    assert stream.getvalue() == ""


def test_an_unknown_backend_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(CommandError, match=r"no backend 'absent'.*'default', 'memory'") as caught:
        listed(using="absent")
    assert caught.value.returncode == 2, "as with other invalid arguments"
