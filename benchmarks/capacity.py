"""``python -m benchmarks.capacity``: the load that a node, a process and a Cluster can carry.

Measures uncontended pairs of acquire and release on many names, on a single server and on Clusters
of one and of three primaries; their cost on both sides, and so how many would saturate a processor.
Takes about a minute.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from django_redislock.testing.servers import EmbeddedServer
from tests.support.cluster import ClusterSet

from . import pairs
from .machine import describe
from .server import cpu_seconds
from .table import put_into
from .workers import Worker, workers

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD = """| locks on | pairs a second, {processes} processes | server CPU a pair (us) \
| client CPU a pair (us) | pairs a second for a node's processor | for a client's |
| --- | --: | --: | --: | --: | --: |"""


@dataclass(frozen=True)
class Load:
    """The work that was done, and its cost. Times are in seconds."""

    title: str
    done: int
    took: float
    of_servers: float
    of_clients: float

    def row(self) -> str:
        server, client = self.of_servers / self.done, self.of_clients / self.done
        figures = [self.done / self.took, server * 1e6, client * 1e6, 1 / server, 1 / client]
        return " | ".join([f"| {self.title}", *(f"{one:,.0f}" for one in figures)]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    rows = []
    for title, location, ports in places():
        with ExitStack() as stack:
            clients = [stack.enter_context(Redis(port=port)) for port in ports]
            notes = describe(clients[0])
            with workers(location, options.processes) as started:
                rows.append(load(title, started, clients, options.seconds).row())
    head = HEAD.format(processes=options.processes)
    text = "\n".join([*(f"* {note}" for note in notes), "", head, *rows])
    print(text)
    if options.write:
        put_into(PAGE, text, "capacity")


def places() -> Iterator[tuple[str, str, list[int]]]:
    """Yield a title, a location, and the ports of its servers, which end with the iteration."""
    with EmbeddedServer() as server:
        yield "a server", server.url, [server.port]
    for primaries, title in ((1, "a Cluster of one primary"), (3, "a Cluster of three")):
        with ClusterSet(primaries) as servers:
            yield title, servers.location, [one.port for one in servers.primaries]


def load(title: str, started: Sequence[Worker], clients: Sequence[Redis], seconds: float) -> Load:
    for worker in started:
        worker.ask(pairs.pairs_of_many_names, 0.2)
    before, began = sum(map(cpu_seconds, clients)), time.perf_counter()
    for worker in started:
        worker.begin(pairs.pairs_of_many_names, seconds)
    counts = [worker.result() for worker in started]
    took = time.perf_counter() - began
    of_servers = sum(map(cpu_seconds, clients)) - before
    done = sum(count for count, _ in counts)
    return Load(title, done, took, of_servers, sum(cpu for _, cpu in counts))


if __name__ == "__main__":
    main()
