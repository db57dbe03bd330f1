"""Command line of the harness.

    python -m tests.faults --fault kill --seconds 60 --seed 1
    python -m tests.faults --minutes 30 --write

Without `--fault`, each fault gets an equal share of the minutes; starting, settling and checking
take additional time. It ends with a table, and with status 1 if any errors were found.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from tests.faults import page
from tests.faults.catalogue import FAULTS
from tests.faults.report import Report, table
from tests.faults.run import run

# A longer run is split into several, each with its own history and seed.
LONGEST_RUN = 60.0  # seconds, unless the command line says otherwise


def main() -> int:
    """Run the faults that the command line names."""
    options = _options()
    names = options.fault or list(FAULTS)
    missing = {name: reason for name in names if (reason := FAULTS[name].missing())}
    names = [name for name in names if name not in missing]
    seconds = options.minutes * 60 / len(names) if options.minutes else options.seconds
    reports: list[Report] = []
    for name in names:
        for report in _runs(name, seconds, options.longest, options.seed):
            reports.append(report)
            _say("\n".join([f"| {' | '.join(report.cells())} |", *report.examples()]))
    left_out = [f"{name} was left out: {reason}." for name, reason in missing.items()]
    result = "\n\n".join([table(reports), page.ran_on(reports), *left_out])
    _say(f"\n{result}")
    if options.write:
        page.write(options.write, result)
    return int(any(report.wrong for report in reports))


def _runs(name: str, seconds: float, longest: float, seed: int) -> Iterator[Report]:
    while seconds > 0:
        yield run(FAULTS[name](), min(seconds, longest), seed)
        seconds, seed = seconds - longest, seed + 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.faults",
        description=__doc__,
        epilog=fill(f"Faults: {', '.join(FAULTS)}.", break_on_hyphens=False),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--fault", action="append", choices=list(FAULTS), metavar="FAULT",
        help="run this fault, and not all of them; may be given several times",
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, default=10.0, help="for each fault; default: 10")
    parser.add_argument("--minutes", type=float, help="for all faults together")
    parser.add_argument(
        "--longest", type=float, default=LONGEST_RUN, metavar="SECONDS",
        help="split longer runs into several, which start anew; default: 60",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1_000_000), help="default: random"
    )
    where = page.PAGE.relative_to(Path.cwd()) if page.PAGE.is_relative_to(Path.cwd()) else page.PAGE
    parser.add_argument(
        "--write", type=Path, nargs="?", const=page.PAGE, metavar="PAGE",
        help=f"put the table into a page, {where} by default",
    )  # fmt: skip
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
