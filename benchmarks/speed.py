"""Measurements of ``python -m benchmarks``: the command, and each section of its table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from redis import Redis

from django_redislock.testing.servers import EmbeddedServer

from . import pairs, races, server
from .contestants import OURS, async_contestants, contestants
from .machine import describe
from .races import Race
from .table import Row, Section, put_into, render
from .workers import Worker, cores, pin

__all__ = ["main"]

T = TypeVar("T")

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Effort:
    """Duration and number of rounds. Times are in seconds. Each round has a turn per contestant."""

    rounds: int
    seconds: float
    cycles: int
    race_rounds: int
    race_seconds: float
    processes: int
    crowds: tuple[int, ...]
    waiters: int
    idle_seconds: float
    settle: float


FULL = Effort(15, 0.3, 250, 3, 3.0, 8, (2, 8, 32, 128, 1000), 100, 3.0, 2.0)
QUICK = Effort(1, 0.02, 20, 1, 0.2, 2, (2, 8), 4, 0.2, 0.2)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"Measure the speed and fairness of {', '.join(contestants())} in about ten "
        "minutes, on a server that it starts itself. python-redis-lock and pottery take part if "
        "they are installed, and any other lock if you add it to benchmarks/contestants.py.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round, to check that it runs"
    )
    parser.add_argument(
        "--write",
        nargs="?",
        type=Path,
        const=PAGE,
        metavar="PAGE",
        help="put the table between the markers of a page, by default of docs/benchmarks.md",
    )
    options = parser.parse_args()
    with EmbeddedServer() as embedded, Redis.from_url(embedded.url) as client:
        notes = describe(client)
        if options.quick:
            notes.append("one short round (`--quick`): these figures mean nothing")
        benchmark = Benchmark(embedded, client, QUICK if options.quick else FULL)
        text = render(benchmark.sections(), contestants(), notes)
    print(text)
    if options.write:
        put_into(options.write, text)


class Benchmark:
    """The sections of the table, measured one by one on a separate server."""

    def __init__(self, embedded: EmbeddedServer, client: Redis, effort: Effort) -> None:
        self.url, self.server_pid = embedded.url, embedded.pid
        self.client, self.effort = client, effort

    def sections(self) -> Iterator[Section]:
        yield Section("Uncontended pairs", self.uncontended())
        yield Section("Cost of an uncontended pair", self.costs())
        yield Section("Our lock compared with itself", self.variants())
        yield Section(
            f"{self.effort.processes} processes contending for one name", self.processes()
        )
        yield Section("Threads of one process contending for one name", self.crowds())
        yield Section("Idle waiters", self.idle())

    def uncontended(self) -> list[Row]:
        """Measure with hiredis, if it is installed, and without."""
        rows = []
        for hiredis in (True, False) if find_spec("hiredis") else (False,):
            parser = "with hiredis" if hiredis else "without hiredis"
            with self.workers(contestants(), hiredis=hiredis) as workers:
                for layout, server_cores, client_cores in _layouts():
                    with self.pinned(workers.values(), server_cores, client_cores):
                        rows += self.rates(workers, f"{layout}, {parser}")
        return rows

    def rates(self, workers: Mapping[str, Worker], where: str) -> list[Row]:
        seconds = self.effort.seconds

        def threads(name: str) -> float:
            return workers[name].ask(pairs.pairs_a_second, name, seconds)

        def tasks(name: str) -> float:
            return workers[name].ask(pairs.task_pairs_a_second, name, seconds)

        return [
            Row(f"a second, {where}", self.turns(contestants(), threads)),
            Row(f"asyncio: a second, {where}", self.turns(async_contestants(), tasks)),
        ]

    def costs(self) -> list[Row]:
        cycles, client = self.effort.cycles, self.client
        with self.workers(contestants()) as workers:

            def functions(name: str) -> float:
                return workers[name].ask(pairs.functions_entered, name, cycles)

            def counted(name: str) -> server.Commands:
                workers[name].ask(pairs.pairs, name, 5)
                with server.Commands(client) as commands:
                    workers[name].ask(pairs.pairs, name, cycles)
                return commands

            commands = {name: counted(name) for name in contestants()}

            def server_time(name: str) -> float:
                client.config_resetstat()
                workers[name].ask(pairs.pairs, name, cycles)
                return server.time_in_commands(client, commands[name]) / cycles

            entered = self.turns(contestants(), functions, 1)
            times = self.turns(contestants(), server_time)
        sent = {name: [one.sent.total() / cycles] for name, one in commands.items()}
        inside = {name: [one.in_scripts.total() / cycles] for name, one in commands.items()}
        least = {name: [_least(figures)] for name, figures in times.items()}
        return [
            Row("Python functions entered", entered),
            Row("commands sent by the client", sent, 1),
            Row("commands inside scripts", inside, 1),
            Row("least server time (us)", least, 1),
        ]

    def variants(self) -> list[Row]:
        """Measure on one core, so that all of the client's work counts."""
        layout, server_cores, client_cores = _layouts()[0]
        with Worker(self.url) as worker, self.pinned([worker], server_cores, client_cores):

            def rate(variant: str) -> float:
                return worker.ask(pairs.variant_a_second, variant, self.effort.seconds)

            rates = self.turns(pairs.VARIANTS, rate)
        renewed = _quotients(rates[pairs.NOT_RENEWED], rates[pairs.RENEWED])
        view = _quotients(rates[pairs.PLAIN], rates[pairs.VIEW])
        return [
            Row(f"time of a pair: renewed / not renewed, {layout}", {OURS: renewed}, 2),
            Row(f"time: `locked_view`, empty view / pair, {layout}", {OURS: view}, 2),
        ]

    def processes(self) -> list[Row]:
        count = self.effort.processes

        def counted(name: str) -> float:
            return races.in_scripts(
                self.client, self.url, name, processes=count, seconds=self.effort.race_seconds
            )

        results = self.races(processes=count, threads=1)
        return [
            *_race_rows("", results),
            Row("server CPU a pair (us)", _each(results, lambda race: race.cpu)),
            Row("commands inside scripts a pair", self.turns(contestants(), counted, 1), 1),
        ]

    def crowds(self) -> list[Row]:
        rows = []
        for threads in self.effort.crowds:
            rows += _race_rows(f"{threads:,} threads: ", self.races(processes=1, threads=threads))
        return rows

    def races(self, *, processes: int, threads: int) -> dict[str, list[Race | None]]:
        def race(name: str) -> Race:
            return races.race(
                self.client,
                self.url,
                name,
                processes=processes,
                threads=threads,
                seconds=self.effort.race_seconds,
            )

        return self.turns(contestants(), race, self.effort.race_rounds)

    def idle(self) -> list[Row]:
        effort = self.effort

        def sent(name: str) -> float:
            return races.idle_messages(
                self.client,
                self.url,
                name,
                waiters=effort.waiters,
                seconds=effort.idle_seconds,
                settle=effort.settle,
            )

        figures = self.turns(contestants(), sent, 1)
        return [Row(f"messages a second of {effort.waiters} waiting threads", figures, 1)]

    def turns(
        self, names: Iterable[str], measure: Callable[[str], T], rounds: int = 0
    ) -> dict[str, list[T | None]]:
        """Measure in rounds, so that other load on the machine affects all contestants alike."""
        results: dict[str, list[T | None]] = {name: [] for name in names}
        for _ in range(rounds or self.effort.rounds):
            for name, theirs in results.items():
                try:
                    theirs.append(measure(name))
                except RuntimeError as error:
                    print(f"{name} failed: {error}", file=sys.stderr)
                    theirs.append(None)
        return results

    @contextmanager
    def workers(self, names: Iterable[str], *, hiredis: bool = True) -> Iterator[dict[str, Worker]]:
        """Start a process per contestant, which is used for all of its turns."""
        with ExitStack() as stack:
            yield {name: stack.enter_context(Worker(self.url, hiredis=hiredis)) for name in names}

    @contextmanager
    def pinned(
        self, workers: Iterable[Worker], server_cores: set[int], client_cores: set[int]
    ) -> Iterator[None]:
        for worker in workers:
            worker.ask(abs, 0)  # waits until it has started, with all its threads
            pin(worker.pid, client_cores)
        pin(self.server_pid, server_cores)
        try:
            yield
        finally:
            pin(self.server_pid, cores())


def _layouts() -> list[tuple[str, set[int], set[int]]]:
    """Return layouts to measure: a name, the cores of the server, and those of the client."""
    first, *others = sorted(cores()) or [-1]
    if first < 0:
        return [("no core of their own", set(), set())]
    layouts = [("one core", {first}, {first})]
    return [*layouts, ("two cores", {first}, {others[0]})] if others else layouts


def _race_rows(prefix: str, results: Mapping[str, Sequence[Race | None]]) -> list[Row]:
    return [
        Row(f"{prefix}hand-overs a second", _each(results, lambda race: race.hand_overs)),
        Row(f"{prefix}longest wait (ms)", _each(results, lambda race: race.longest_wait)),
        Row(f"{prefix}fairness (Jain)", _each(results, lambda race: race.fairness), 2),
    ]


def _each(
    results: Mapping[str, Sequence[Race | None]], figure: Callable[[Race], float]
) -> dict[str, list[float | None]]:
    return {
        name: [figure(race) if race else None for race in theirs]
        for name, theirs in results.items()
    }


def _quotients(ones: Sequence[float | None], others: Sequence[float | None]) -> list[float | None]:
    """Divide round by round."""
    return [one / other if one and other else None for one, other in zip(ones, others, strict=True)]


def _least(figures: Iterable[float | None]) -> float | None:
    return min((one for one in figures if one is not None), default=None)
