"""``python -m benchmarks.operators``: waiting times of an operator with a million live locks.

Measures the admin pages, ``listlocks`` and ``clearlocks``, and how long they block the server for
other clients. Takes some minutes and 1 GB of memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from statistics import median

from redis import Redis
from rich.console import Console
from rich.table import Table

from django_redislock.testing.servers import EmbeddedServer

from .crowd import fill

PREFIX = "lock"
PAGE = "/admin/django_redislock/lock/"
PAGES = {
    "the first page": "",
    "the first page in reverse order": "?o=-ttl",
    "a page in the middle": "?p={middle}",
    "a part of a name": "?q=99",
    "a whole name": "?q=order:77",
    "by age": "?o=-age",
    "by state": "?state=renewing",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operators", description=__doc__)
    parser.add_argument("--locks", type=int, default=1_000_000)
    parser.add_argument("--others", type=int, default=1_000_000, help="keys that are not locks")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    few, many = min(1000, options.locks), options.locks
    with EmbeddedServer() as server, Redis.from_url(server.url) as client:
        os.environ |= {"REDIS_URL": server.url, "DJANGO_SETTINGS_MODULE": "benchmarks.site"}
        set_apart(int(client.info("server")["process_id"]))
        visit = visitor()
        fill(client, PREFIX, range(few), lease=7200)
        before = {title: timed(client, visit, title, few) for title in PAGES}
        fill(client, PREFIX, range(few, many), lease=7200)
        after = {title: timed(client, visit, title, many) for title in PAGES}
        others(client, options.others)
        beside = {title: timed(client, visit, title, many) for title in PAGES}
        table = Table("the admin (ms: total, Redis alone)", f"{few:,} locks", f"{many:,} locks")
        table.add_column(f"and {options.others:,} other keys")
        for title in PAGES:
            cells = (
                f"{all_of_it:.0f}, {of_redis:.1f}"
                for all_of_it, of_redis in (before[title], after[title], beside[title])
            )
            table.add_row(title, *cells)
        console.print(table)
        table = Table("a command", "first line (s)", "seconds", "a second", "memory (MB)")
        table.add_column("longest step of the server (ms)")
        table.add_column("a ping: median, 99.9 %, longest (ms)")
        for words in (
            *(f"listlocks --max 0 --format {one}" for one in ("table", "json", "jsonl", "csv")),
            "listlocks --max 0 --format jsonl --name order:*99",
            "clearlocks --name order:nobody* --noinput",
            "clearlocks --all --noinput",
        ):
            table.add_row(words, *command(client, server.url, words, many))
        console.print(table)
        console.print(f"{client.zcard('lock:{18}:index')} left in a bucket")


def set_apart(pid: int) -> None:
    """Give the server its own processor if allowed, so that other processes do not add to its
    measured time."""
    first, *rest = sorted(os.sched_getaffinity(0))
    if rest:
        os.sched_setaffinity(pid, {first})
        os.sched_setaffinity(0, rest)
    with suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))


def visitor() -> Callable[[str], None]:
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client

    call_command("migrate", verbosity=0)
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))

    def visit(address: str) -> None:
        response = client.get(address)
        if response.status_code != 200:
            raise RuntimeError(f"{address}: {response.status_code}")

    return visit


def others(client: Redis, count: int) -> None:
    script = "for n = ARGV[1], ARGV[2] do redis.call('SET', 'other:' .. n, n) end"
    for start in range(0, count, 10_000):
        client.eval(script, 0, start, start + 9999)


def timed(
    client: Redis, visit: Callable[[str], None], title: str, locks: int
) -> tuple[float, float]:
    """Return the milliseconds for a page, and the server's share of them: medians of ten."""
    path = PAGE + PAGES[title].format(middle=max(1, locks // 200))
    figures = []
    for _ in range(11):
        client.config_resetstat()
        began = time.perf_counter()
        visit(path)
        took = time.perf_counter() - began
        figures.append((took * 1000, busy(client)))
    return median(one for one, _ in figures[1:]), median(one for _, one in figures[1:])


def busy(client: Redis) -> float:
    """Return the milliseconds spent in commands since the last reset of the statistics."""
    stats = client.info("commandstats")
    return sum(float(one["usec"]) for name, one in stats.items() if "config" not in name) / 1000


def command(client: Redis, url: str, words: str, locks: int) -> list[str]:
    client.config_set("slowlog-log-slower-than", 200)
    client.config_set("slowlog-max-len", 100_000)
    client.slowlog_reset()
    began = time.perf_counter()
    with pings(url) as waits:
        reading, writing = os.pipe()
        process = subprocess.Popen([sys.executable, "-m", "django", *words.split()], stdout=writing)
        os.close(writing)
        first = 0.0
        while os.read(reading, 65536):
            first = first or time.perf_counter() - began
        os.close(reading)
        _pid, _status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
    slow = max((one["duration"] for one in client.slowlog_get(100_000)), default=0) / 1000
    waits.sort()
    p999 = waits[int(len(waits) * 0.999)]
    return [
        f"{first:.1f}",
        f"{took:.1f}",
        f"{locks / took:,.0f}",
        f"{usage.ru_maxrss / 1024:.0f}",
        f"{slow:.2f}" if slow else "under 0.2",
        f"{median(waits):.2f}, {p999:.2f}, {waits[-1]:.2f}",
    ]


@contextmanager
def pings(url: str) -> Iterator[list[float]]:
    """Record, during the block, how many milliseconds another client waits for each reply."""
    waits: list[float] = []
    over = threading.Event()

    def ping() -> None:
        with Redis.from_url(url) as client:
            while not over.wait(0.001):
                began = time.perf_counter()
                client.ping()
                waits.append((time.perf_counter() - began) * 1000)

    thread = threading.Thread(target=ping)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    main()
