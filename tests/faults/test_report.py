"""The table of a run, its errors, and the page that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults import page
from tests.faults.checker import Violation
from tests.faults.report import Report, table
from tests.faults.writes import EXCUSED, LOST_UPDATE

FOUND = [Violation("overlap", "two"), Violation("overlap", "more"), Violation("left", "one")]


def report_of(found: list[Violation] = FOUND, **fields: Any) -> Report:
    return Report("kill", 7, 60.2, 1234, 0.5, found, "Valkey 9, SQLite 3", **fields)


def test_table() -> None:
    head, _, row = table([report_of()]).splitlines()
    assert head.startswith("| fault | seconds | grants | overlaps | fence regressions | stale wr")
    assert row == "| kill | 60 | 1,234 | 2 | 0 | 0 | 0 | 1 | 0 | 0 | 0 | 0.50 | 7 |"


def test_several_runs_are_added_up() -> None:
    *_, last = table([report_of(), report_of()]).splitlines()
    assert last.startswith("| all | 120 | 2,468 |  |")


def test_violations_that_a_fault_may_cause_are_shown_but_are_not_errors() -> None:
    report = report_of(may_cause=frozenset({"overlap"}))
    assert "| (2) | 0 | 0 | 0 | 1 |" in table([report])
    assert report.wrong == FOUND[2:]
    assert report.examples() == ["kill: holds left: one"]
    assert report_of().examples(1) == ["kill: overlaps: two", "kill: holds left: one"]


def test_excused_lost_updates_are_not_errors() -> None:
    excused = report_of([Violation(EXCUSED, "a")])
    assert excused.cells()[6] == "(1)"
    assert excused.wrong == []
    wrong = report_of([Violation(EXCUSED, "a"), Violation(LOST_UPDATE, "b")])
    assert wrong.cells()[6] == "2"
    assert [one.text for one in wrong.wrong] == ["b"]


def test_page_gets_the_table_between_its_markers(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"# Page\n\n{page.BEGIN}\nold\n{page.END}\n\nMore.\n")
    page.write(path, "new")
    assert path.read_text() == f"# Page\n\n{page.BEGIN}\n\nnew\n\n{page.END}\n\nMore.\n"
    path.write_text("# Page\n")
    with pytest.raises(ValueError, match="has no lines"):
        page.write(path, "new")


def test_page_of_the_documentation_has_the_markers() -> None:
    text = page.PAGE.read_text()
    assert text.count(page.BEGIN) == text.count(page.END) == 1


def test_page_names_the_versions_and_the_processors() -> None:
    text = page.ran_on([report_of(), report_of()])
    assert text.count("Valkey 9, SQLite 3") == 1
    assert "processors" in text
