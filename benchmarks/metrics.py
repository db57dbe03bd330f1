"""``python -m benchmarks.metrics``: the cost of the hot names' figures, in time and in memory."""

from __future__ import annotations

import argparse
import secrets
import statistics
import time
from typing import TYPE_CHECKING

from django_redislock.testing.servers import EmbeddedServer

if TYPE_CHECKING:
    from django_redislock.figures.meter import Batch

PAIRS = 1500
CYCLES = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, to check that it runs")
    pairs = 10 if parser.parse_args().quick else PAIRS
    with EmbeddedServer() as server:
        _set_up(server.url)
        for label, template in (("one name", "order:42"), ("many names", "order:{}")):
            on, off = _pairs(pairs, template)
            print(f"acquire + release, {label}: {on:.2f} us counted, {off:.2f} us not counted")
            print(f"  ratio {on / off:.3f}, {on - off:.2f} us more")
        print(f"one event, in the process alone: {_event():.2f} us")
        print(f"a whole hour, every slot full: {_hour() / 1024:,.0f} KiB in Redis")
        print(f"200 families at once block the server for {_telling() * 1000:.2f} ms at most")


def _set_up(url: str) -> None:
    import django
    from django.conf import settings

    settings.configure(
        INSTALLED_APPS=["django_redislock"],
        CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}},
        LOCKS={
            "default": {},
            "uncounted": {"KEY_PREFIX": "uncounted", "OPTIONS": {"metrics": False}},
        },
    )
    django.setup()


def _pairs(pairs: int, template: str) -> tuple[float, float]:
    """Return microseconds per cycle with and without metrics: first deciles of alternating turns.

    The turns are short and many, and only the fastest count, as a busy machine disturbs most.
    """
    times: dict[str, list[float]] = {"default": [], "uncounted": []}
    for pair in range(pairs):
        order = list(times) if pair % 2 else list(times)[::-1]
        for using in order:
            times[using].append(_cycles(using, template, pair))
    on, off = (statistics.quantiles(one, n=10)[0] for one in times.values())
    return on, off


def _cycles(using: str, template: str, pair: int) -> float:
    from django_redislock import lock

    names = [template.format(f"{pair}{number}") for number in range(CYCLES)]
    started = time.perf_counter()
    for name in names:
        with lock(name, using=using):
            pass
    return (time.perf_counter() - started) / CYCLES * 1e6


def _event(times: int = 100_000) -> float:
    from django_redislock import lock
    from django_redislock.events import count
    from django_redislock.figures.tallies import Tally

    handle = lock("order:42")
    started = time.perf_counter()
    for _ in range(times):
        count(handle, Tally.was_acquired, 0.002)
    return (time.perf_counter() - started) / times * 1e6


def _full(digits: int) -> Batch:
    """Return a batch with the longest possible families and the largest possible figures."""
    from django_redislock.figures.families import LONGEST_FAMILY
    from django_redislock.figures.meter import Batch
    from django_redislock.figures.tallies import MOST_FAMILIES, Tally

    figures = [10**digits] * len(Tally().figures())
    return Batch(
        secrets.token_hex(8),
        {
            f"{number:03}".ljust(LONGEST_FAMILY, "x"): Tally.of(figures)
            for number in range(MOST_FAMILIES + 50)
        },
    )


def _hour() -> int:
    """Return the bytes that the keys of a whole hour take, according to Redis."""
    from django_redis import get_redis_connection

    from django_redislock import lock_backends
    from django_redislock.backends.redis.keys import figure_keys
    from django_redislock.figures.tallies import SLOTS

    lock_backends["default"].add_tallies(_full(5))
    client = get_redis_connection()
    keys = figure_keys("lock", SLOTS)
    return SLOTS * max(int(client.memory_usage(key, samples=0) or 0) for key in keys)


def _telling() -> float:
    """Return for how many seconds the slowest of the scripts blocks the server."""
    from django_redis import get_redis_connection

    from django_redislock import lock_backends

    client = get_redis_connection()
    client.config_set("slowlog-log-slower-than", 0)
    client.slowlog_reset()
    lock_backends["default"].add_tallies(_full(5))
    entries = client.slowlog_get(128)
    return max(float(one["duration"]) for one in entries if b"EVAL" in one["command"]) / 1e6


if __name__ == "__main__":
    main()
