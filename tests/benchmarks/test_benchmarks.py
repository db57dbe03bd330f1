"""Benchmarks: they run and count correctly. No test depends on speed."""

from __future__ import annotations

import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from redis import Redis

from benchmarks import pairs
from benchmarks.contestants import OURS, contestants
from benchmarks.races import jain
from benchmarks.server import Commands
from benchmarks.table import Row, Section, put_into, render
from django_redislock.testing.servers import EmbeddedServer

ROOT = Path(__file__).parent.parent.parent
PAGE = "before\n<!-- benchmarks: begin -->\nold\n<!-- benchmarks: end -->\nafter\n"

One = namedtuple("One", "first")
Two = namedtuple("Two", "first second")


def quick(module: str, *arguments: str, within: float) -> subprocess.CompletedProcess[str]:
    """Run the quick form of a program, which must succeed."""
    run = subprocess.run(
        [sys.executable, "-m", module, "--quick", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_quick_form_measures_every_row(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    run = quick("benchmarks", "--write", str(page), within=280)
    assert run.stderr == ""  # it would name a contestant that fails
    assert run.stdout.strip() in page.read_text()
    for part in (
        "load average at the start: ",
        "one short round",
        "| django_redislock |",
        " redis-py |",
        "| a second, ",
        "| asyncio: a second, ",
        "| Python functions entered ",
        "| commands inside scripts ",
        "| least server time (us) ",
        "renewed / not renewed",
        "`locked_view`, empty view / pair",
        "2 processes contending for one name",
        "| commands inside scripts a pair ",
        "| 8 threads: hand-overs a second ",
        "| 8 threads: longest wait (ms) ",
        "| 8 threads: fairness (Jain) ",
        "| messages a second of 4 waiting threads ",
    ):
        assert part in run.stdout


def test_the_help_says_which_locks_are_measured() -> None:
    # Lines are broken at hyphens, too.
    text = "".join(quick("benchmarks", "--help", within=50).stdout.split())
    assert f"fairnessof{','.join(contestants())}inabout" in text
    assert "benchmarks/contestants.py" in text


def test_functions_of_the_same_name_and_line_are_counted_separately(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pair() -> None:  # entered as well, which makes three functions
        One(1)
        Two(1, 2)

    monkeypatch.setattr(pairs, "pair_of", lambda contestant: pair)
    assert pairs.functions_entered(OURS, cycles=7) == 3


def test_commands_of_scripts_and_of_clients_are_counted_separately() -> None:
    script = "redis.call('GET', KEYS[1]) return redis.call('SET', KEYS[1], 'a \"b\" [0 lua] c')"
    with EmbeddedServer() as server, Redis.from_url(server.url) as client:
        with Commands(client) as commands:
            client.get("before")
            for _ in range(3):
                client.eval(script, 1, "name")
        client.get("after")
    assert commands.sent == {"get": 1, "eval": 3}
    assert commands.in_scripts == {"get": 3, "set": 3}
    assert commands.share_sent("get") == 0.25


def test_fairness_is_jains_index() -> None:
    assert jain([5, 5, 5, 5]) == 1
    assert jain([9, 0, 0, 0]) == 0.25
    assert jain([0, 0]) == 0


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    row = Row("a second", {OURS: [2, 30, None], "redis-py": [1, 10, 5], "pottery": [None, None]})
    assert row.cell(OURS) == "16"
    assert row.cell("redis-py") == "5 (2.50)"
    assert row.cell("pottery") == "failed"
    assert row.cell("python-redis-lock") == ""


def test_a_table_has_the_columns_of_the_contestants() -> None:
    section = Section("Pairs", [Row("a second", {OURS: [1234.5]}, 1)])
    assert render([section], [OURS, "redis-py"], ["a machine"]) == (
        "* a machine\n\n"
        "### Pairs\n\n"
        "|          | django_redislock |\n"
        "| -------- | ---------------: |\n"
        "| a second |          1,234.5 |"
    )


def test_the_rest_of_a_page_is_not_changed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    put_into(page, "new")
    put_into(page, "newer")
    assert page.read_text() == PAGE.replace("old", "\nnewer\n")


def test_a_page_without_markers_is_not_changed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no table")
    with pytest.raises(ValueError, match=r"page\.md has no <!-- benchmarks: begin -->"):
        put_into(page, "new")
    assert page.read_text() == "no table"


def test_the_cost_of_the_figures_is_measured() -> None:
    run = quick("benchmarks.metrics", within=50)
    assert "one event, in the process alone: " in run.stdout
    assert "200 families at once block the server for " in run.stdout
