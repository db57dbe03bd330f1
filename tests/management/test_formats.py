from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_redislock import lock_backends
from django_redislock.backends.base import SHARED
from django_redislock.management.commands import listlocks
from tests.management.holds import add_alias, aged, claim, hold, queue, without_redis
from tests.support.commands import Terminal, output_of


def output(format_: str, **options: Any) -> str:
    return output_of("listlocks", format=format_, **options)


def test_json_has_all_fields_but_the_token() -> None:
    token = hold("a\nb", "default", what="shop.checkout", label="\ud800", limit=SHARED)
    text = output("json")
    (one,) = json.loads(text)
    assert one["name"] == "a\nb"
    assert one["backend"] == "default"
    assert (one["kind"], one["limit"]) == ("shared", None)
    assert one["token_prefix"] == token[:8]
    assert one["holder"]["what"] == "shop.checkout"
    assert 45 < one["remaining"] <= one["lease"] == 60
    assert token not in text
    assert [
        json.loads(line) | {"remaining": 0, "held_for": 0} for line in output("jsonl").splitlines()
    ] == [one | {"remaining": 0, "held_for": 0}]


def test_csv_has_one_line_for_each_hold() -> None:
    token = hold('a,"b"\n', what="x", limit=3)
    text = output("csv")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["name"] == r'a,"b"\n'
    assert (row["kind"], row["limit"], row["what"], row["host"]) == ("semaphore", "3", "x", "web-1")
    assert token not in text
    assert row["renews_for"] == ""
    (fields,) = json.loads(output("json"))
    assert set(row) == {*fields, *fields["holder"]} - {"holder"}


def test_every_format_of_an_empty_list_can_be_parsed() -> None:
    assert json.loads(output("json")) == []
    assert output("jsonl") == ""
    assert len(output("csv").splitlines()) == 1


def watching(monkeypatch: pytest.MonkeyPatch, between: list[Callable[[], object]]) -> None:
    """Let these things happen between the looks of a watch, and then interrupt it."""
    steps = iter(between)

    def sleep(seconds: float) -> None:
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr(listlocks, "time", SimpleNamespace(sleep=sleep))


def test_watch_lists_again_until_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    watching(monkeypatch, [lambda: hold("a")])
    first, second = output("table", watch=1).split("press Ctrl-C to stop")[1:]
    assert "No lock is held." in first
    assert "web-1" in second


def test_watch_sleeps_no_longer_than_the_platform_can(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeping: list[threading.Thread] = []
    really_sleep = time.sleep

    def sleep(seconds: float) -> None:
        sleeping.append(threading.Thread(target=really_sleep, args=(seconds,), daemon=True))
        sleeping[0].start()
        sleeping[0].join(0.2)
        raise KeyboardInterrupt

    monkeypatch.setattr(listlocks, "time", SimpleNamespace(sleep=sleep))
    output("table", watch=1e16)
    assert sleeping[0].is_alive()


def test_an_interrupted_listing_has_the_exit_code_of_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(listlocks, "ranks", interrupt)
    with pytest.raises(SystemExit, match="130"):
        listlocks.Command().run_from_argv(["manage.py", "listlocks"])
    with pytest.raises(KeyboardInterrupt):
        call_command("listlocks")


@pytest.mark.parametrize("use_tz", [True, False])
def test_watch_shows_the_time_with_and_without_time_zones(
    monkeypatch: pytest.MonkeyPatch, settings: Any, use_tz: bool
) -> None:
    settings.USE_TZ = use_tz
    settings.TIME_ZONE = "Asia/Kathmandu"
    moment = datetime(2026, 11, 26, 12, 0, tzinfo=timezone.utc)
    monkeypatch.setattr(listlocks, "utc_now", lambda: moment)
    watching(monkeypatch, [])
    assert output("table", watch=1).startswith("17:45:00; ")


def test_watch_in_jsonl_reports_silent_backends(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    without_redis(settings, "down")
    watching(monkeypatch, [lambda: None])
    errors = io.StringIO()
    call_command("listlocks", stdout=io.StringIO(), stderr=errors, format="jsonl", watch=1)
    assert errors.getvalue().count("LOCKS['down']") == 2


def test_watch_marks_new_and_changed_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    hold("a")
    hold("b")
    watching(monkeypatch, [lambda: hold("c"), lambda: queue("a"), lambda: None])
    looks = output("table", watch=1).split("press Ctrl-C to stop")[1:]
    marks = [re.findall(r"^(.) ([abc]) ", look, re.MULTILINE) for look in looks]
    same = [(" ", "a"), (" ", "b")]
    assert marks == [
        same,
        [*same, ("+", "c")],
        [("*", "a"), (" ", "b"), (" ", "c")],
        [*same, (" ", "c")],
    ]


def test_watch_marks_names_with_the_same_token_separately(monkeypatch: pytest.MonkeyPatch) -> None:
    token = hold("a")
    watching(monkeypatch, [lambda: claim("b", token, "memory"), lambda: queue("a"), lambda: None])
    looks = output("table", watch=1).split("press Ctrl-C to stop")[1:]
    assert [re.findall(r"^(.) ([ab]) ", look, re.MULTILINE) for look in looks] == [
        [(" ", "a")],
        [(" ", "a"), ("+", "b")],
        [("*", "a"), (" ", "b")],
        [(" ", "a"), (" ", "b")],
    ]


def test_watch_has_colours_for_its_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    hold("a")
    watching(monkeypatch, [lambda: [hold("b"), queue("a")]])
    stream = io.StringIO()
    call_command("listlocks", stdout=stream, force_color=True, watch=1)
    assert re.search(r"\x1b\[[\d;]+m\+\x1b\[0m b ", stream.getvalue())
    assert re.search(r"\x1b\[[\d;]+m\*\x1b\[0m a ", stream.getvalue())


def test_watch_does_not_mark_a_hold_that_only_moves_up(monkeypatch: pytest.MonkeyPatch) -> None:
    first = hold("a", lease=30)
    hold("b", lease=60)
    aged(monkeypatch, "memory", {"b": 500.0})
    watching(monkeypatch, [lambda: lock_backends["memory"].force_release("a", first)])
    looks = output("table", watch=1, max=1, using="memory").split("press Ctrl-C to stop")[1:]
    assert [re.findall(r"^(.) ([ab]) ", look, re.MULTILINE) for look in looks] == [
        [(" ", "a")],
        [(" ", "b")],
    ]


@pytest.mark.parametrize("columns", [20, 60, 100])
def test_a_watch_is_no_wider_than_its_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    hold("x" * 200, what="y" * 200)
    watching(monkeypatch, [lambda: queue("x" * 200)])
    stream = Terminal()
    call_command("listlocks", stdout=stream, no_color=True, watch=1)
    lines = re.sub(r"\x1b\[\w", "", stream.getvalue()).splitlines()
    assert max(len(line) for line in lines if "x" in line) <= columns


def test_watch_goes_on_when_redis_is_down(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    without_redis(settings, "down")
    watching(monkeypatch, [lambda: None])
    assert output("table", watch=1, using="down").count("refused") == 2


def test_watch_in_a_terminal_overwrites_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    watching(monkeypatch, [lambda: None])
    stream = Terminal()
    call_command("listlocks", stdout=stream, no_color=True, watch=1)
    assert stream.getvalue().count("\x1b[H") == 2
    assert stream.getvalue().endswith("\x1b[J")


@pytest.mark.parametrize("format_", ["json", "csv"])
def test_watch_requires_a_format_without_an_end(format_: str) -> None:
    with pytest.raises(CommandError, match="--format table or jsonl") as caught:
        output(format_, watch=1)
    assert caught.value.returncode == 2


def test_an_interrupt_ends_a_watch_without_a_stack() -> None:
    code = (
        "import django, sys; django.setup();"
        "from django.core.management import execute_from_command_line as run;"
        "run(['manage.py', 'listlocks', '--using', 'memory', '--watch', '0.1'])"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _out, errors = process.communicate(timeout=40)
    assert process.returncode == 0
    assert b"Traceback" not in errors


@pytest.mark.parametrize("sign", "=+-@")
def test_no_csv_cell_is_a_formula(sign: str) -> None:
    text = f"{sign}1+cmd|' /C calc'!A0"
    hold(text, what=text, label=text, host=text, thread=text)
    (row,) = csv.DictReader(io.StringIO(output("csv", using="memory")))
    assert {row[one] for one in ("name", "what", "label", "host", "thread")} == {f"'{text}"}
    assert float(row["remaining"]) > 0
    (found,) = json.loads(output("json", using="memory"))
    assert found["name"] == text


@pytest.mark.parametrize(("height", "width"), [(12, 500), (24, 80)])
def test_watch_fits_the_screen_with_several_silent_backends(
    height: int, width: int, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    without_redis(settings, "down")
    for alias in ("away", "gone"):
        add_alias(settings, alias, CACHE="nowhere", KEY_PREFIX=alias)
    for number in range(20):
        hold(f"order:{number}")
    monkeypatch.setenv("LINES", str(height))
    monkeypatch.setenv("COLUMNS", str(width))
    watching(monkeypatch, [])
    screen = Terminal()
    call_command("listlocks", stdout=screen, no_color=True, watch=1)
    lines = re.sub(r"\x1b\[\w", "", screen.getvalue()).split("\n")
    assert sum("LOCKS[" in line for line in lines) == 3
    assert any("order:" in line for line in lines)
    assert sum(max(1, math.ceil(len(line) / width)) for line in lines) <= height
