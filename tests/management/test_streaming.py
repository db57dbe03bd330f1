"""Streaming of lists: many locks take no more memory than few."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from redis import Redis

from benchmarks.crowd import fill
from django_redislock.management.commands import listlocks
from tests.management.holds import fall_silent, hold
from tests.support.commands import Terminal, output_of
from tests.support.tries import best_of

FORMATS = pytest.mark.parametrize("format_", ["table", "json", "jsonl", "csv"])


@pytest.fixture
def crowd(redis_url: str, key_prefix: str) -> int:
    with Redis.from_url(redis_url) as client:
        fill(client, key_prefix, range(2000))
    return 2000


class Sink(io.StringIO):
    """A stream that counts the written characters and discards them."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = 0
        self.peak = 0

    def write(self, text: str) -> int:
        self.lines += text.count("\n")
        self.peak = max(self.peak, tracemalloc.get_traced_memory()[0])
        return len(text)


def listed(format_: str, **options: Any) -> str:
    return output_of("listlocks", format=format_, max=0, **options)


def test_every_format_lists_all_of_many_locks(crowd: int) -> None:
    everyone = {f"order:{number}" for number in range(crowd)}
    as_json, as_csv = json.loads(listed("json")), csv.DictReader(io.StringIO(listed("csv")))
    assert [len(as_json), {one["name"] for one in as_json}] == [crowd, everyone]
    assert {one["name"] for one in as_csv} == everyone
    assert {json.loads(line)["name"] for line in listed("jsonl").splitlines()} == everyone
    heading, *lines = listed("table").splitlines()
    assert "BACKEND" in heading, "others of another backend may follow"
    assert {line.split()[0] for line in lines} == everyone


@pytest.mark.parametrize(
    "format_",
    ["table", "jsonl", *(pytest.param(one, marks=pytest.mark.long) for one in ("json", "csv"))],
)
def test_more_locks_take_no_more_memory(
    format_: str, redis_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listlocks, "FEW", 50)
    monkeypatch.setattr(listlocks, "LINES", 50)
    few, many = 300, 3000
    with Redis.from_url(redis_url) as client:
        fill(client, key_prefix, range(many))
        listed(format_, using="default")  # fills the caches of names
        client.delete(*client.scan_iter(match=f"*{key_prefix}*", count=1000))
        fill(client, key_prefix, range(few))
        # Other threads may allocate memory, too. Keeping all locks would take seven times as much.
        enough = 4 * _peak(format_, few)
        fill(client, key_prefix, range(few, many))
        assert best_of(lambda _: _peak(format_, many), enough) < enough


def _peak(format_: str, lines: int) -> int:
    """The most memory that was in use at any write of a list."""
    sink = Sink()
    tracemalloc.start()
    # Other tests may have left locks in the memory of this process.
    options = {"format": format_, "max": 0, "using": "default"}
    call_command("listlocks", stdout=sink, no_color=True, **options)
    tracemalloc.stop()
    assert sink.lines >= lines
    return sink.peak


def test_few_locks_are_listed_in_order_and_many_unordered(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        hold(f"a{number}", "default", lease=50 - number)
    names = ["a3", "a2", "a1", "a0"]
    assert [json.loads(line)["name"] for line in listed("jsonl").splitlines()] == names
    monkeypatch.setattr(listlocks, "FEW", 2)
    assert sorted(json.loads(line)["name"] for line in listed("jsonl").splitlines()) == names[::-1]


@FORMATS
def test_the_reader_may_close_the_pipe(
    format_: str, crowd: int, redis_url: str, key_prefix: str
) -> None:
    code = (
        "import django, sys; from django.conf import settings;"
        "settings.CACHES['default']['LOCATION'] = sys.argv[1];"
        "settings.LOCKS['default']['KEY_PREFIX'] = sys.argv[2]; django.setup();"
        "from django.core.management import execute_from_command_line as run;"
        "run(['manage.py', 'listlocks', '--max', '0', '--format', sys.argv[3]])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, redis_url, key_prefix, format_],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(50) == 0
    assert errors == b""


@pytest.mark.parametrize(
    ("width", "count"),
    [(30, "7 of 20 locks; there is no"), (100, "7 of 20 locks; there is no room for more.")],
)
def test_a_watch_is_no_larger_than_its_terminal(
    width: int, count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINES", "12")
    monkeypatch.setenv("COLUMNS", str(width))

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(listlocks, "time", SimpleNamespace(sleep=interrupted))
    for number in range(20):
        hold(f"a{number:02}", lease=20 + number)
    for most in (100, 0):
        stream = Terminal()
        call_command("listlocks", stdout=stream, no_color=True, watch=1, max=most)
        lines = re.sub(r"\x1b\[\w", "", stream.getvalue()).splitlines()
        assert len(lines) <= 11
        assert max(map(len, lines)) <= width
        assert "a06 " in stream.getvalue()
        assert count in stream.getvalue()


def test_a_terminal_shows_states_that_need_attention_in_colour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold("fine")
    hold("hung")
    fall_silent(monkeypatch, "memory", "hung")
    plain, coloured = Terminal(), Terminal()

    def lines(stream: Terminal, **options: Any) -> dict[str, str]:
        call_command("listlocks", stdout=stream, **options)
        return {line.split()[0]: line for line in stream.getvalue().splitlines()}

    assert "\x1b" not in "".join(lines(plain, no_color=True).values())
    shown = lines(coloured, force_color=True)
    assert re.search(r"\x1b\[[\d;]*mlost contact", shown["hung"])
    assert "\x1b" not in shown["fine"]
