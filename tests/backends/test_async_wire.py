"""Connection that all coroutines of an event loop share."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import subprocess
import sys
import threading
import weakref

import pytest
from redis.connection import Connection
from redis.exceptions import ResponseError, TimeoutError as RedisTimeoutError

from django_redislock.backends.redis.commands import pack
from django_redislock.backends.redis.wire.async_links import AsyncLink
from django_redislock.backends.redis.wire.async_wire import AsyncWire
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.wires import SOON, echo, key, reached, wire_to


async def test_replies_come_in_order_and_so_do_errors(wire: AsyncWire) -> None:
    name = key()
    commands = [pack("SET", name, "x"), pack("INCR", name), pack("GET", name), pack("DEL", name)]
    (ok, error, value, gone), again = await wire.aexchange(commands)
    assert (ok, value, gone, again) == (b"OK", b"x", 1, False)
    assert isinstance(error, ResponseError)


async def test_all_tasks_share_one_connection(wire: AsyncWire, proxy: Proxy) -> None:
    texts = [str(number) for number in range(500)]
    replies = await asyncio.gather(*(echo(wire, text) for text in texts))
    assert replies == [text.encode() for text in texts]
    assert proxy.opened == 1


async def test_tasks_do_not_wait_for_each_others_replies(wire: AsyncWire, proxy: Proxy) -> None:
    await echo(wire, "warm")
    proxy.hold()
    tasks = [asyncio.create_task(echo(wire, str(number))) for number in range(50)]
    await reached(proxy, 51)
    proxy.pass_through()
    assert await asyncio.gather(*tasks) == [str(number).encode() for number in range(50)]
    assert proxy.opened == 1


async def test_cancellations_do_not_affect_other_requests(wire: AsyncWire, proxy: Proxy) -> None:
    """The other requests get their own replies, and the connection stays."""
    rolls = random.Random(20)

    async def ask(number: int) -> None:
        commands = [pack("ECHO", f"{number}-{part}") for part in range(rolls.randint(1, 3))]
        replies, _ = await wire.aexchange(commands)
        assert replies == [f"{number}-{part}".encode() for part in range(len(commands))]

    for _ in range(20):
        tasks = [asyncio.create_task(ask(number)) for number in range(100)]
        while not all(task.done() for task in tasks):
            for task in rolls.sample(tasks, 10):
                task.cancel()
            await asyncio.sleep(0)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}
    assert await echo(wire, "last") == b"last"
    assert proxy.opened == 1


async def test_a_request_cancelled_during_the_connect_does_not_affect_others(
    wire: AsyncWire, proxy: Proxy
) -> None:
    first = asyncio.create_task(echo(wire, "first"))
    second = asyncio.create_task(echo(wire, "second"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"second"
    assert first.cancelled()
    assert proxy.count("ECHO") <= 1 + first.cancelled()


async def test_a_program_that_cancels_all_other_tasks(wire: AsyncWire, proxy: Proxy) -> None:
    """The one that connects is not its own, and others need the connection."""
    proxy.hold()
    needed = asyncio.create_task(echo(wire, "needed"))
    await asyncio.to_thread(wait_until, lambda: proxy.commands)
    for task in asyncio.all_tasks() - {needed, asyncio.current_task()}:
        task.cancel()
    proxy.pass_through()
    assert await needed == b"needed"


async def test_a_time_limit_of_zero_is_a_time_limit(wire: AsyncWire, proxy: Proxy) -> None:
    proxy.hold()
    limits: list[float] = []

    def prepare(left: float) -> list[bytes]:
        limits.append(left)
        return [pack("PING")]

    for within in (0.0, 0):
        with pytest.raises(RedisTimeoutError):
            await wire.aexchange_alone(prepare, within)
    assert all(left <= 0 for left in limits)


def test_each_loop_has_a_connection_that_ends_with_it(proxy: Proxy) -> None:
    wire = wire_to(proxy.url)

    def is_gone() -> bool:
        gc.collect()
        return not wire._all()

    for number in range(3):
        assert asyncio.run(echo(wire, str(number))) == str(number).encode()
        wait_until(is_gone)  # the thread that has connected ends
    assert proxy.opened == 3


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_nobody_closes_is_not_kept(proxy: Proxy) -> None:
    wire = wire_to(proxy.url)
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(echo(wire, "a")) == b"a"
    left = weakref.ref(loop)
    del loop

    def is_gone() -> bool:
        gc.collect()
        return left() is None and not proxy.connections

    wait_until(is_gone, within=SOON)
    assert not wire._all()


def test_loops_run_side_by_side(proxy: Proxy) -> None:
    wire = wire_to(proxy.url)
    found: list[list[bytes]] = []

    async def ask(thread: int) -> list[bytes]:
        return [await echo(wire, f"{thread}-{number}") for number in range(50)]

    threads = [
        threading.Thread(target=lambda number=number: found.append(asyncio.run(ask(number))))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies[0] for replies in found) == [b"0-0", b"1-0", b"2-0", b"3-0"]
    for replies in found:
        first = replies[0].partition(b"-")[0]
        assert replies == [b"%b-%d" % (first, number) for number in range(50)]


async def test_a_closed_wire_can_be_used_again(wire: AsyncWire, proxy: Proxy) -> None:
    await echo(wire, "before")
    await asyncio.to_thread(wire.close)
    assert await echo(wire, "after") == b"after"
    assert proxy.opened == 2


async def test_an_opening_that_is_cancelled_when_its_thread_has_just_connected(
    proxy: Proxy,
) -> None:
    """Warnings are errors here, and Python warns of each socket that was not closed."""
    connecting, go_on, ended = threading.Event(), threading.Event(), list[bool]()

    class Slow(Connection):
        def connect(self) -> None:
            connecting.set()
            go_on.wait(SOON)
            super().connect()
            ended.append(True)

    source = wire_to(proxy.url, connection_class=Slow).source
    link = AsyncLink(asyncio.get_running_loop(), lambda link, error: None)
    opening = asyncio.create_task(link.open(source))
    await asyncio.to_thread(connecting.wait, SOON)
    opening.cancel()
    go_on.set()
    # The loop stands still here, so the task learns of its end last.
    wait_until(lambda: ended)
    with pytest.raises(asyncio.CancelledError):
        await opening
    del opening
    gc.collect()
    await asyncio.to_thread(wait_until, lambda: not proxy.connections)


async def test_closed_while_it_connects(wire: AsyncWire, proxy: Proxy) -> None:
    """Nobody waits for the connection any more, so it is closed as soon as it is open."""
    proxy.hold()
    with pytest.raises(RedisTimeoutError):
        await echo(wire, "before", within=0.1)
    wire.close()
    await asyncio.sleep(0)
    proxy.pass_through()
    await asyncio.to_thread(wait_until, lambda: proxy.opened and not proxy.connections)
    assert await echo(wire, "after") == b"after"
    assert (proxy.opened, proxy.count("ECHO")) == (2, 1)


async def test_closed_while_a_request_waits_until_it_is_connected(
    wire: AsyncWire, proxy: Proxy
) -> None:
    proxy.hold()
    asking = asyncio.create_task(echo(wire, "before"))
    await asyncio.to_thread(wait_until, lambda: proxy.commands)
    wire.close()
    await asyncio.sleep(0)
    proxy.pass_through()
    assert await asking == b"before"
    assert await echo(wire, "after") == b"after"
    assert proxy.opened == 1


async def test_a_forked_child_uses_no_connection_of_its_parent(
    wire: AsyncWire, proxy: Proxy
) -> None:
    assert await echo(wire, "parent") == b"parent"
    (inherited,) = wire._all()
    wire.forget()  # as in a child
    assert await echo(wire, "child") == b"child"
    assert proxy.opened == 2
    assert inherited.for_all._link is not None, "it is left open, for the parent"
    inherited.close()


async def test_a_request_at_the_end_of_its_loop_has_a_time_limit(
    wire: AsyncWire, proxy: Proxy
) -> None:
    """The connection was closed, and opens again."""
    await echo(wire, "before", within=2)
    (connections,) = wire._all()
    await connections.closer.aclose()
    proxy.hold()
    with pytest.raises(RedisTimeoutError):
        await asyncio.wait_for(echo(wire, "after", within=2), SOON)


PROGRAM = """
import asyncio, sys
import django; django.setup()
from redis.connection import ConnectionPool
from django_redislock.backends.redis.wire.async_wire import AsyncWire
from django_redislock.backends.redis.commands import pack
from django_redislock.backends.redis.sources.source import Source

wire = AsyncWire(Source(ConnectionPool.from_url(sys.argv[1]), "a test"))
async def work():
    asyncio.create_task(wire.aexchange([pack("ECHO", "x")]))
    print(await wire.aexchange([pack("ECHO", "y")]))
"""

# Closed by the loop at its end, like the connection.
GENERATOR = """
async def rows():
    try:
        yield
    finally:
        print(await wire.aexchange([pack("ECHO", "y")]))
kept = rows()
async def work():
    await wire.aexchange([pack("ECHO", "x")])
    await anext(kept)
"""


@pytest.mark.parametrize("work", ["", GENERATOR], ids=["a task", "a generator"])
def test_an_ended_loop_leaves_no_socket_open(redis_url: str, work: str) -> None:
    """In the development mode of Python, which names every socket that was not closed."""
    program = f"{PROGRAM}{work}\nasyncio.run(work())"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program, redis_url],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    assert done.stdout == "Replies(replies=[b'y'], again=False)\n", done.stderr
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if not line.startswith("Executing <")] == []
