"""Page of the documentation that shows the table of the harness."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from django_redislock import __version__

if TYPE_CHECKING:
    from tests.faults.report import Report

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"


def ran_on(reports: Sequence[Report]) -> str:
    """Say when and on what these runs were made."""
    servers = sorted({report.servers for report in reports})
    parts: list[str] = [
        f"{datetime.now(timezone.utc):%Y-%m-%d}",
        f"django-redislock {__version__}",
        f"{platform.python_implementation()} {platform.python_version()}",
        *servers,
        f"{os.cpu_count()} processors",
        f"{platform.system()} {platform.release()}",
        f"a load average of {os.getloadavg()[2]:.1f} in the last 15 minutes",
    ]
    return f"Ran on {', '.join(parts)}."


def write(path: Path, text: str) -> None:
    """Put the text between the two markers of a page."""
    before, begun, rest = path.read_text().partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise ValueError(f"{path} has no lines {BEGIN} and {END}.")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
