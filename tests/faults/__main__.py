"""Command line of the harness.

    python -m tests.faults --fault kill --seconds 60 --seed 1
    python -m tests.faults --minutes 30 --table docs/faults.md

Without `--fault`, each fault gets an equal share of the time. It ends with a table, and with
status 1 if anything was found that must not be.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from pathlib import Path

# Before Django's settings are read: each run has a server of its own.
os.environ.setdefault("REDISLOCK_TEST_REDIS_URL", "redis://127.0.0.1:1/0")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

from tests.faults.catalogue import FAULTS
from tests.faults.report import Report, table
from tests.faults.run import run

# A longer run is made of several, each with a history and a seed of its own.
LONGEST_RUN = 60.0  # seconds


def main() -> int:
    """Run the faults that the command line names."""
    django.setup()
    options = _options()
    names = options.fault or list(FAULTS)
    seconds = options.minutes * 60 / len(names) if options.minutes else options.seconds
    reports: list[Report] = []
    for name in names:
        left, seed = seconds, options.seed
        while left > 0:
            report = run(FAULTS[name](), min(left, LONGEST_RUN), seed)
            reports.append(report)
            _say("\n".join([table([report]).splitlines()[-1], *report.examples()]))
            left, seed = left - LONGEST_RUN, seed + 1
    _say(f"\n{table(reports)}")
    if options.table:
        options.table.write_text(f"{table(reports)}\n")
    return int(any(report.wrong for report in reports))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="one of them, again")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each fault")
    parser.add_argument("--minutes", type=float, help="for all faults together")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--table", type=Path, help="a file to write the table to")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
