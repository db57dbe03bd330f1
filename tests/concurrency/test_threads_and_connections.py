"""The threads and connections of a process: docs/platforms.md and docs/backends.md say how many."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_redislock import lock, lock_backends
from django_redislock.backends.redis.wire.node import AT_ONCE
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency.away import PATIENCE, find_out
from tests.support.processes import frozen, wait_until
from tests.support.threads import end_our_threads, our_threads

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"
CROWD = 80
LEASE = 2.0

# The kinds of threads. One backend with one server has at most one of each.
RENEWAL, BACKGROUND, WAKEUPS, PROBE = (
    f"django_redislock-{kind}" for kind in ("renewal", "default", "wakeups", "probe")
)


@pytest.fixture
def client(own_server: EmbeddedServer, use: Any) -> Iterator[Redis]:
    """A client of the locks' server, with a name by which it is left out."""
    use(own_server.url, entry={"PATIENCE": PATIENCE})
    with Redis.from_url(own_server.url, client_name="spectator") as client:
        yield client
    lock_backends["default"].close()


def connections(client: Redis) -> tuple[int, int]:
    """The number of connections to the server: those for wake-ups, and others."""
    ours = [one for one in client.client_list() if one["name"] != "spectator"]
    listening = sum("P" in one["flags"] for one in ours)
    return listening, len(ours) - listening


def work(number: int) -> None:
    """Take an uncontended lock and one that all want; both are renewed."""
    for _ in range(3):
        with lock(f"own {number}", lease=LEASE), lock("shared", wait=50, lease=LEASE):
            pass


def test_a_crowd_of_threads_stays_within_the_limits(
    own_server: EmbeddedServer, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_our_threads(monkeypatch, linger=5.0)
    seen: list[tuple[int, int]] = []
    with lock("shared", lease=LEASE) as held, ThreadPoolExecutor(CROWD) as pool:
        # For a moment no request is answered, so that all threads want a connection.
        with frozen(own_server.pid):
            crowd = [pool.submit(work, number) for number in range(CROWD)]
            time.sleep(0.3)
        wait_until(lambda: len(lock_backends["default"].inspect("shared")[1]) == CROWD)
        seen.append(connections(client))
        wait_until(lambda: BACKGROUND in our_threads(), what="something was renewed")
        threads = Counter(our_threads())
        held.release()
        while not all(one.done() for one in crowd):
            seen.append(connections(client))
            threads |= Counter(our_threads())
        for one in crowd:
            one.result()
    # No thread calls `on_lost` here.
    assert threads == {RENEWAL: 1, BACKGROUND: 1, WAKEUPS: 1}
    assert max(listening for listening, _ in seen) == 1
    assert AT_ONCE <= max(others for _, others in seen) <= AT_ONCE + len(threads)


async def test_a_crowd_of_tasks_stays_within_the_limits(client: Redis) -> None:
    async def take(number: int) -> None:
        async with lock(f"own {number}", lease=LEASE), lock("shared", wait=50, lease=LEASE):
            pass

    async with lock("shared", lease=LEASE) as held:
        crowd = [asyncio.create_task(take(number)) for number in range(CROWD)]
        while len(lock_backends["default"].inspect("shared")[1]) < CROWD:
            await asyncio.sleep(0.05)
        listening, others = connections(client)
        await held.arelease()
        await asyncio.gather(*crowd)
    # One for the event loop, one for `inspect` above, and one for each thread of ours.
    assert listening == 1
    assert others <= 1 + 1 + 3


def test_a_hanging_server_is_probed_by_one_thread(
    own_server: EmbeddedServer, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_our_threads(monkeypatch, linger=5.0)
    with ThreadPoolExecutor(CROWD) as pool, frozen(own_server.pid):
        for one in [pool.submit(find_out) for _ in range(CROWD)]:
            one.result()
        wait_until(lambda: PROBE in our_threads(), what="the server is probed")
        assert Counter(our_threads())[PROBE] == 1


def test_the_page_states_the_same_limits() -> None:
    connections = PAGE.read_text().split("### Connections\n")[1].split("\n### ")[0]
    assert re.findall(r"\bup to (\d+)\b", connections) == [str(AT_ONCE)] * 3
