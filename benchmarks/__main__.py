"""``python -m benchmarks``: speed and fairness beside redis-py's lock, as ratios of one run.

``pip install python-redis-lock pottery``, and they take part.

Absolute figures say more about the machine than about the locks: quote the ratios.
"""

from __future__ import annotations

import argparse
import statistics

from rich.console import Console
from rich.table import Table

from django_redislock.testing.servers import EmbeddedServer

from .contestants import guards, set_up
from .races import contended, crowded, idle, served, uncontended

# Many short rounds in turns: what else the machine does meets all alike.
ROUNDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, to see that it runs")
    rounds = 1 if parser.parse_args().quick else ROUNDS
    with EmbeddedServer() as server:
        set_up(server.url)
        names = list(guards())
        single = {name: [0.0] for name in names}
        scripts: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                single[name].append(uncontended(name))
                scripts[name].append(served(name))
        many = {name: contended(server.url, name) for name in names}
        crowd = {name: crowded(name) for name in names}
        waiting = {name: idle(name) for name in names}
    rows = [
        ("acquire + release, nobody else (us)", [statistics.median(single[n][1:]) for n in names]),
        ("  the server's time in scripts, the least (us)", [min(scripts[n]) for n in names]),
        ("8 processes: hand-overs to another a second", [many[n][0] for n in names]),
        ("  acquisitions a second", [many[n][1] for n in names]),
        ("  the longest wait (ms)", [many[n][2] for n in names]),
        ("  the most to the least served", [many[n][3] for n in names]),
        ("  Redis commands a pair, with those in scripts", [many[n][4] for n in names]),
        ("  the server's CPU time a pair (us)", [many[n][5] for n in names]),
        ("128 threads: hand-overs to another a second", [crowd[n][0] for n in names]),
        ("  the longest wait (ms)", [crowd[n][1] for n in names]),
        ("messages a second of 100 waiting threads", [waiting[n] for n in names]),
    ]
    table = Table("", *names)
    table.columns[0].no_wrap = True
    for title, (ours, *others) in rows:
        ratios = (f"{one:,.1f} ({one / ours:.2f})" if ours else f"{one:,.1f}" for one in others)
        table.add_row(title, f"{ours:,.1f}", *ratios)
    console = Console(width=max(Console().width, 40 + 25 * len(names)))
    console.print(table)
    console.print("In parentheses: the ratio to django_redislock's figure.")


if __name__ == "__main__":
    main()
