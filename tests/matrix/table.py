"""Table of the results: python -m tests.matrix.table FOLDER writes it into docs/platforms.md.

The folder has two files of each session of nox: the versions, and the results in JUnit's format.
"""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from benchmarks.table import put_into

PAGE = Path(__file__).parents[2] / "docs" / "platforms.md"
COLUMNS = ("python", "django", "django-redis", "redis", "hiredis", "server")
HEAD = (
    "| Python | Django | django-redis | redis-py | hiredis | server | passed | skipped | failed |\n"
    "| --- | --- | --- | --- | --- | --- | --: | --: | --: |\n"
)


class Run(NamedTuple):
    """One environment, and how its tests ended."""

    versions: dict[str, str]
    day: date
    passed: int
    skipped: int
    failed: int

    @classmethod
    def read(cls, path: Path) -> Run:
        suite = ElementTree.parse(path.with_suffix(".xml")).find("testsuite")  # noqa: S314 - ours
        assert suite is not None, f"{path} has no results"
        count = {name: int(suite.get(name, 0)) for name in ("tests", "skipped")}
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        return cls(
            json.loads(path.read_text()),
            datetime.fromisoformat(str(suite.get("timestamp"))).date(),
            count["tests"] - count["skipped"] - failed,
            count["skipped"],
            failed,
        )

    def row(self) -> str:
        cells = [self.versions[name] or "none" for name in COLUMNS]
        return " | ".join([*cells, f"{self.passed:,}", f"{self.skipped:,}", f"{self.failed:,}"])


def table(runs: list[Run]) -> str:
    days = sorted({run.day for run in runs})
    when = " to ".join(f"{day:%-d %B %Y}" for day in dict.fromkeys((days[0], days[-1])))
    rows = "\n".join(f"| {run.row()} |" for run in runs)
    return f"Run by `nox` on {when}:\n\n{HEAD}{rows}"


def main(folder: str) -> None:
    paths = sorted(Path(folder).glob("*.json"))
    runs = [Run.read(path) for path in paths if path.with_suffix(".xml").exists()]
    if not runs:
        sys.exit(f"{folder} has no results. Run nox first.")
    put_into(PAGE, table(runs), "matrix")


if __name__ == "__main__":
    main(sys.argv[1])
