"""Coroutines share one connection of their loop, and no reply reaches another's command."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from redis import Redis
from redis.connection import ConnectionPool
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
    ResponseError,
    TimeoutError as RedisTimeoutError,
)

from django_redislock.backends.redis import async_links, resp
from django_redislock.backends.redis.async_wire import AsyncWire
from django_redislock.backends.redis.commands import pack
from django_redislock.backends.redis.scripts import INSPECT
from django_redislock.backends.redis.sources import Source
from django_redislock.testing.servers import EmbeddedServer
from tests.support.proxy import Proxy

# A hanging server is slow on purpose; what must come sooner is far from this.
TIMEOUT = 30.0
SOON = 10.0


def wire_to(url: str, **kwargs: Any) -> AsyncWire:
    kwargs = {"socket_timeout": TIMEOUT, **kwargs}
    return AsyncWire(Source(ConnectionPool.from_url(url, **kwargs), "a test"))


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def wire(request: pytest.FixtureRequest, proxy: Proxy) -> AsyncWire:
    return wire_to(proxy.url, protocol=request.param)


@pytest.fixture
def slow_wire(proxy: Proxy) -> AsyncWire:
    """Its server is given up after half a second."""
    return wire_to(proxy.url, socket_timeout=0.5)


def key() -> str:
    return f"test-{secrets.token_hex(6)}"


async def echo(wire: AsyncWire, text: str, within: float | None = None) -> Any:
    (reply,), _ = await wire.aexchange([pack("ECHO", text)], within)
    return reply


async def reached(proxy: Proxy, number: int) -> None:
    """Return when so many requests have arrived."""
    until = time.monotonic() + SOON
    while proxy.count("ECHO") < number:
        assert time.monotonic() < until
        await asyncio.sleep(0.001)


async def test_replies_come_in_order_and_errors_stand_in_their_place(wire: AsyncWire) -> None:
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


async def test_large_batches_travel_on_another_connection(wire: AsyncWire, proxy: Proxy) -> None:
    await echo(wire, "warm")
    replies, _ = await wire.aexchange([pack("ECHO", "x" * 1000)] * 100)
    assert replies == [b"x" * 1000] * 100
    assert await echo(wire, "y" * 100_000) == b"y" * 100_000
    assert await echo(wire, "short") == b"short"
    assert proxy.opened == 2


async def test_a_storm_of_cancellations(wire: AsyncWire, proxy: Proxy) -> None:
    """Whoever is not cancelled gets its own reply, and the connection stays."""
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


async def test_cancelled_while_it_connects(wire: AsyncWire, proxy: Proxy) -> None:
    first = asyncio.create_task(echo(wire, "first"))
    second = asyncio.create_task(echo(wire, "second"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"second"
    assert first.cancelled()
    assert proxy.count("ECHO") <= 1 + first.cancelled()


async def test_a_reply_that_is_lost_is_asked_for_once_more(wire: AsyncWire, proxy: Proxy) -> None:
    name = key()
    await echo(wire, "warm")
    trigger = proxy.drop_next_reply(name.encode())
    others = [asyncio.create_task(echo(wire, str(number))) for number in range(20)]
    replies, again = await wire.aexchange([pack("INCR", name)])
    assert trigger.fired
    assert (replies, again) == ([2], True)
    assert await asyncio.gather(*others) == [str(number).encode() for number in range(20)]
    assert (await wire.aexchange([pack("DEL", name)])).again is False


async def test_it_is_not_asked_for_twice_more(wire: AsyncWire, proxy: Proxy) -> None:
    name = key()
    await echo(wire, "warm")
    proxy.drop_next_reply(name.encode())
    proxy.drop_next_reply(name.encode())
    with pytest.raises(RedisConnectionError):
        await wire.aexchange([pack("INCR", name)])
    assert proxy.count("INCR") == 2
    assert (await wire.aexchange([pack("DEL", name)])).replies == [1]


async def test_a_connection_that_the_server_closed_meanwhile(wire: AsyncWire, proxy: Proxy) -> None:
    await echo(wire, "warm")
    proxy.cut()
    assert await echo(wire, "next") == b"next"


async def test_a_server_that_is_not_there() -> None:
    wire = wire_to("redis://127.0.0.1:1/0")
    errors = await asyncio.gather(*(echo(wire, "x") for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in errors] == [RedisConnectionError] * 3
    assert len({id(error) for error in errors}) == 3


async def test_a_hanging_server(wire: AsyncWire, proxy: Proxy) -> None:
    await echo(wire, "warm")
    proxy.hold()
    began = time.monotonic()
    with pytest.raises(RedisTimeoutError):
        await echo(wire, "abandoned", within=0.2)
    assert 0.2 <= time.monotonic() - began < SOON
    proxy.pass_through()
    # Its reply comes first, and is read by nobody.
    assert await echo(wire, "next") == b"next"
    assert proxy.opened == 1


async def test_a_server_that_hangs_while_it_is_connected_to(wire: AsyncWire, proxy: Proxy) -> None:
    proxy.hold()
    with pytest.raises(RedisTimeoutError):
        await echo(wire, "first", within=0.2)
    proxy.pass_through()
    assert await echo(wire, "next") == b"next"


async def test_a_connection_is_given_up_when_its_oldest_request_is_too_old(
    slow_wire: AsyncWire, proxy: Proxy
) -> None:
    await echo(slow_wire, "warm")
    proxy.black_hole()
    oldest = asyncio.create_task(echo(slow_wire, "oldest", within=0.1))
    with pytest.raises(RedisTimeoutError):
        await oldest
    younger = asyncio.create_task(slow_wire.aexchange([pack("ECHO", "younger")]))
    await reached(proxy, 3)
    proxy.pass_through()
    assert await younger == ([b"younger"], True)
    assert proxy.opened == 2


async def test_a_slow_server_is_not_asked_twice(slow_wire: AsyncWire, proxy: Proxy) -> None:
    await echo(slow_wire, "warm")
    proxy.black_hole()
    with pytest.raises(RedisTimeoutError):
        await echo(slow_wire, "slow")
    assert proxy.count("ECHO") == 2
    proxy.pass_through()
    assert await echo(slow_wire, "next") == b"next"


async def test_a_script_that_the_server_has_forgotten(own_server: EmbeddedServer) -> None:
    wire = wire_to(own_server.url)
    call = pack("EVALSHA", INSPECT.sha, 0)
    replies, _ = await wire.aexchange([pack("ECHO", "a"), call, pack("ECHO", "b")])
    # Without keys the script fails, by its own words: it has run.
    assert (replies[0], replies[2]) == (b"a", b"b")
    assert "NOSCRIPT" not in str(replies[1])
    with Redis.from_url(own_server.url) as client:
        assert client.script_exists(INSPECT.sha.decode()) == [True]


async def test_a_primary_that_is_a_replica_now(own_server: EmbeddedServer) -> None:
    wire = wire_to(own_server.url)
    await echo(wire, "warm")
    with Redis.from_url(own_server.url) as client:
        client.replicaof("127.0.0.1", "1")
        with pytest.raises(ResponseError, match="read only"):
            await wire.aexchange([pack("SET", "a", "b")])
        client.replicaof("NO", "ONE")
    assert (await wire.aexchange([pack("SET", "a", "b")])).replies == [b"OK"]


async def test_a_reply_that_nobody_has_asked_for(wire: AsyncWire, proxy: Proxy) -> None:
    """Then no reply can be told from another: the connection is not used any more."""
    await echo(wire, "warm")
    (connections,) = wire._loops.values()
    link = connections.for_all._link
    assert link is not None
    link.data_received(b"+OK\r\n")
    assert await echo(wire, "next") == b"next"
    link = connections.for_all._link
    assert link is not None
    link.data_received(b"HTTP/1.1 400 Bad Request\r\n")
    assert await echo(wire, "last") == b"last"
    assert proxy.opened == 3


async def test_an_interruption_between_two_steps_costs_the_connection(
    wire: AsyncWire, proxy: Proxy
) -> None:
    """The order of the replies would be in doubt."""

    class Interrupted(Exception):
        pass

    def interrupt(data: bytes) -> None:
        transport.write(data)
        raise Interrupted

    await echo(wire, "warm")
    (connections,) = wire._loops.values()
    link = connections.for_all._link
    assert link is not None
    transport = link._transport
    assert transport is not None
    link._transport = type("", (), {"write": staticmethod(interrupt), "abort": transport.abort})()
    with pytest.raises(Interrupted):
        await echo(wire, "interrupted")
    assert await echo(wire, "next") == b"next"
    assert proxy.opened == 2


def test_each_loop_has_a_connection_that_ends_with_it(proxy: Proxy) -> None:
    wire = wire_to(proxy.url)
    for number in range(3):
        assert asyncio.run(echo(wire, str(number))) == str(number).encode()
        assert len(wire._loops) == 1
    assert proxy.opened == 3


def test_loops_side_by_side(proxy: Proxy) -> None:
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


async def test_closed_and_used_again(wire: AsyncWire, proxy: Proxy) -> None:
    await echo(wire, "before")
    await asyncio.to_thread(wire.close)
    assert await echo(wire, "after") == b"after"
    assert proxy.opened == 2


async def test_a_forked_child_uses_no_connection_of_its_parent(
    wire: AsyncWire, proxy: Proxy
) -> None:
    assert await echo(wire, "parent") == b"parent"
    inherited = wire._loops
    wire.forget()  # as in a child
    assert await echo(wire, "child") == b"child"
    assert proxy.opened == 2
    (connections,) = inherited.values()
    assert connections.for_all._link is not None, "it is left open, for the parent"
    connections.close()


@pytest.fixture
def python_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_links, "new_reader", resp.PythonReader)
    monkeypatch.setattr(async_links, "Push", resp.PythonPush)


@pytest.mark.usefixtures("python_parser")
async def test_without_hiredis(wire: AsyncWire) -> None:
    texts = [str(number) for number in range(200)]
    replies = await asyncio.gather(*(echo(wire, text) for text in texts))
    assert replies == [text.encode() for text in texts]


PROGRAM = """
import asyncio, sys
import django; django.setup()
from redis.connection import ConnectionPool
from django_redislock.backends.redis.async_wire import AsyncWire
from django_redislock.backends.redis.commands import pack
from django_redislock.backends.redis.sources import Source

wire = AsyncWire(Source(ConnectionPool.from_url(sys.argv[1]), "a test"))
async def work():
    asyncio.create_task(wire.aexchange([pack("ECHO", "x")]))
    print(await wire.aexchange([pack("ECHO", "y")]))
asyncio.run(work())
"""


def test_a_loop_that_ends_leaves_no_socket_open(redis_url: str) -> None:
    """In the development mode of Python, which names every socket that was not closed."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, redis_url],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    assert done.stdout == "Replies(replies=[b'y'], again=False)\n", done.stderr
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if not line.startswith("Executing <")] == []
