"""Lost replies, hanging servers and interruptions on the connection that coroutines share."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from redis import Redis
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
    ResponseError,
    TimeoutError as RedisTimeoutError,
)

from django_redislock.backends.redis.commands import pack
from django_redislock.backends.redis.scripts import INSPECT
from django_redislock.backends.redis.wire.async_links import AsyncLink, Request
from django_redislock.backends.redis.wire.async_wire import AsyncWire
from django_redislock.testing.servers import EmbeddedServer
from tests.backends.nodes import node_at
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.wires import SOON, TIMEOUT, echo, key, reached, wire_to


@pytest.fixture
def slow_wire(proxy: Proxy) -> AsyncWire:
    """A wire whose time-out is half a second."""
    return wire_to(proxy.url, socket_timeout=0.5)


async def test_a_request_whose_reply_was_lost_is_sent_once_more(
    wire: AsyncWire, proxy: Proxy
) -> None:
    name = key()
    await echo(wire, "warm")
    trigger = proxy.drop_next_reply(name.encode())
    others = [asyncio.create_task(echo(wire, str(number))) for number in range(20)]
    replies, again = await wire.aexchange([pack("INCR", name)])
    assert trigger.fired
    assert (replies, again) == ([2], True)
    assert await asyncio.gather(*others) == [str(number).encode() for number in range(20)]
    assert (await wire.aexchange([pack("DEL", name)])).again is False


async def test_a_request_whose_reply_was_lost_twice_fails(wire: AsyncWire, proxy: Proxy) -> None:
    name = key()
    await echo(wire, "warm")
    proxy.drop_next_reply(name.encode())
    proxy.drop_next_reply(name.encode())
    with pytest.raises(RedisConnectionError, match=r"closed the connection\.$"):
        await wire.aexchange([pack("INCR", name)])
    assert proxy.count("INCR") == 2
    assert (await wire.aexchange([pack("DEL", name)])).replies == [1]


async def test_each_request_that_fails_has_its_own_error(wire: AsyncWire, proxy: Proxy) -> None:
    """A shared error would show the traceback of another task."""
    name = key()
    await echo(wire, "warm")
    for _ in range(2):
        proxy.drop_next_reply(name.encode())
    asked = [echo(wire, text) for text in (name, "behind it", "behind that")]
    errors = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(error) for error in errors] == [RedisConnectionError] * 3
    assert len({id(error) for error in errors}) == 3


async def test_a_connection_closed_by_the_server_is_replaced(wire: AsyncWire, proxy: Proxy) -> None:
    await echo(wire, "warm")
    proxy.cut()
    assert await echo(wire, "next") == b"next"


async def test_a_connection_that_is_cut_while_it_opens_is_opened_once_more(
    wire: AsyncWire, proxy: Proxy
) -> None:
    trigger = proxy.drop_next_reply(b"LIB-NAME")
    asked = [wire.aexchange([pack("ECHO", text)]) for text in "ab"]
    # Nothing was sent twice.
    assert await asyncio.gather(*asked) == [([b"a"], False), ([b"b"], False)]
    assert trigger.fired
    assert proxy.opened == 2


async def test_a_connection_that_is_cut_twice_while_it_opens_is_an_error(
    wire: AsyncWire, proxy: Proxy
) -> None:
    for _ in range(2):
        proxy.drop_next_reply(b"LIB-NAME")
    with pytest.raises(RedisConnectionError):
        await echo(wire, "a")
    assert proxy.opened == 2
    assert await echo(wire, "next") == b"next"


async def test_requests_to_a_server_that_is_down_fail() -> None:
    wire = wire_to("redis://127.0.0.1:1/0")
    errors = await asyncio.gather(*(echo(wire, "x") for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in errors] == [RedisConnectionError] * 3
    assert len({id(error) for error in errors}) == 3


async def test_a_request_to_a_hanging_server_times_out_and_keeps_the_connection(
    wire: AsyncWire, proxy: Proxy
) -> None:
    await echo(wire, "warm")
    proxy.hold()
    began = time.monotonic()
    with pytest.raises(RedisTimeoutError):
        await echo(wire, "abandoned", within=0.2)
    assert 0.2 <= time.monotonic() - began < SOON
    proxy.pass_through()
    # The reply to the abandoned request comes first, and is skipped.
    assert await echo(wire, "next") == b"next"
    assert proxy.opened == 1


async def test_a_request_times_out_while_the_connect_hangs(
    wire: AsyncWire, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.hold()
    with pytest.raises(RedisTimeoutError):
        await echo(wire, "first", within=0.2)
    proxy.pass_through()
    assert await echo(wire, "next") == b"next"
    assert not caplog.records, "an error in a callback"


@pytest.mark.parametrize("is_fresh", [False, True])
async def test_a_time_out_is_counted_as_for_threads(proxy: Proxy, *, is_fresh: bool) -> None:
    node = node_at(proxy.url, socket_timeout=0.5)
    if not is_fresh:
        await echo(node.async_wire, "warm")
    proxy.hold()
    with pytest.raises(RedisTimeoutError):
        await echo(node.async_wire, "slow")
    assert len(node.breaker.failures) == (2 if is_fresh else 1)


async def test_a_blocked_event_loop_is_not_mistaken_for_the_server(wire: AsyncWire) -> None:
    """The loop stands still while it connects."""
    asked = asyncio.create_task(echo(wire, "asked", within=0.1))
    await asyncio.sleep(0)
    time.sleep(1)  # noqa: ASYNC251 - blocks the loop on purpose
    assert await asked == b"asked"


async def test_a_server_that_hangs_is_noticed_by_a_loop_that_is_always_late(
    wire: AsyncWire, proxy: Proxy
) -> None:
    await echo(wire, "before")

    async def block() -> None:
        while True:
            time.sleep(0.1)  # noqa: ASYNC251 - blocks the loop on purpose
            await asyncio.sleep(0)

    proxy.hold()
    blocking = asyncio.create_task(block())
    try:
        with pytest.raises(RedisTimeoutError):
            await asyncio.wait_for(echo(wire, "asked", within=0.2), timeout=10)
    finally:
        blocking.cancel()


async def test_a_connection_is_closed_when_its_oldest_request_is_too_old(
    slow_wire: AsyncWire, proxy: Proxy
) -> None:
    await echo(slow_wire, "warm")
    proxy.black_hole()
    # Most of the half second passes before the younger request begins, which then has as much left.
    oldest = asyncio.create_task(echo(slow_wire, "oldest", within=0.4))
    with pytest.raises(RedisTimeoutError):
        await oldest
    younger = asyncio.create_task(slow_wire.aexchange([pack("ECHO", "younger")]))
    await reached(proxy, 3)
    proxy.pass_through()
    assert await younger == ([b"younger"], True)
    assert proxy.opened == 2


async def test_a_request_that_timed_out_is_not_sent_again(
    slow_wire: AsyncWire, proxy: Proxy
) -> None:
    await echo(slow_wire, "warm")
    proxy.black_hole()
    with pytest.raises(RedisTimeoutError):
        await echo(slow_wire, "slow")
    assert proxy.count("ECHO") == 2
    proxy.pass_through()
    assert await echo(slow_wire, "next") == b"next"


async def test_a_script_unknown_to_the_server_is_sent(own_server: EmbeddedServer) -> None:
    wire = wire_to(own_server.url)
    call = pack("EVALSHA", INSPECT.sha, 0)
    replies, _ = await wire.aexchange([pack("ECHO", "a"), call, pack("ECHO", "b")])
    # Without keys the script fails with an error of its own: it has run.
    assert (replies[0], replies[2]) == (b"a", b"b")
    assert "NOSCRIPT" not in str(replies[1])
    with Redis.from_url(own_server.url) as client:
        assert client.script_exists(INSPECT.sha.decode()) == [True]


async def test_a_script_that_another_client_loads_before_the_request_is_repeated(
    own_server: EmbeddedServer,
) -> None:
    """Its first reply must not be remembered when the connection is lost before the last one."""
    name = key()
    commands = [pack("EVALSHA", INSPECT.sha, 0), pack("BLPOP", name, int(TIMEOUT))]
    with Proxy(own_server.url) as proxy, Redis.from_url(own_server.url) as client:
        wire = wire_to(proxy.url)
        request = asyncio.create_task(wire.aexchange(commands))

        def blocked() -> bool:
            return client.info("clients")["blocked_clients"] == 1

        await asyncio.to_thread(wait_until, blocked, within=SOON)
        client.script_load(INSPECT.text.decode())
        proxy.cut()
        client.rpush(name, "pushed", "pushed")
        done, _ = await asyncio.wait([request], timeout=SOON)
        assert done
        replies, again = await request
        assert replies[1] == [name.encode(), b"pushed"]
        assert again
        assert await echo(wire, "next") == b"next"


async def test_a_connection_to_a_demoted_primary_is_replaced(own_server: EmbeddedServer) -> None:
    wire = wire_to(own_server.url)
    await echo(wire, "warm")
    with Redis.from_url(own_server.url) as client:
        client.replicaof("127.0.0.1", "1")
        with pytest.raises(ResponseError, match="read only"):
            await wire.aexchange([pack("SET", "a", "b")])
        client.replicaof("NO", "ONE")
    assert (await wire.aexchange([pack("SET", "a", "b")])).replies == [b"OK"]


async def test_an_unexpected_reply_ends_the_connection(wire: AsyncWire, proxy: Proxy) -> None:
    """Replies can then no longer be matched with requests."""
    await echo(wire, "warm")
    (connections,) = wire._all()
    link = connections.for_all._link
    assert link is not None
    link.receive(b"+OK\r\n")
    assert await echo(wire, "next") == b"next"
    link.end(RedisConnectionError("It has ended before."))
    link = connections.for_all._link
    assert link is not None
    link.receive(b"HTTP/1.1 400 Bad Request\r\n")
    assert await echo(wire, "last") == b"last"
    assert proxy.opened == 3


async def test_an_interruption_within_a_request_ends_the_connection(
    wire: AsyncWire, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of the replies would be in doubt."""

    class Interrupted(Exception):
        pass

    await echo(wire, "warm")
    (connections,) = wire._all()
    link = connections.for_all._link
    assert link is not None
    write = link._write

    def interrupt(sock: socket.socket) -> None:
        write(sock)
        raise Interrupted

    monkeypatch.setattr(link, "_write", interrupt)
    with pytest.raises(Interrupted):
        await echo(wire, "interrupted")
    assert await echo(wire, "next") == b"next"
    assert proxy.opened == 2


async def test_an_interruption_between_the_requests_that_an_opening_sends(
    wire: AsyncWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, sent = AsyncLink.send, list[Request]()

    def interrupted(link: AsyncLink, request: Request, now: float) -> None:
        sent.append(request)
        assert len(sent) != 2
        send(link, request, now)

    monkeypatch.setattr(AsyncLink, "send", interrupted)
    assert await asyncio.gather(echo(wire, "a"), echo(wire, "b")) == [b"a", b"b"]
