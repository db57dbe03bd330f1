"""Breaker: a server that does not answer is not asked again until a probe is answered."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import get_ident

import pytest
from redis.exceptions import (
    AuthenticationError,
    ConnectionError as RedisConnectionError,
    RedisError,
    TimeoutError as RedisTimeoutError,
)

from django_redislock.backends.redis import breaker as breaker_module
from django_redislock.backends.redis.breaker import Breaker, breaker_of
from django_redislock.backends.redis.errors import ServerAway
from django_redislock.backends.redis.wire.node import Node
from django_redislock.process import ServiceThread
from django_redislock.testing.servers import EmbeddedServer
from tests.backends.nodes import PING, echo, node_at
from tests.support.processes import frozen, wait_until
from tests.support.proxy import Proxy
from tests.support.threads import no_thread_can_start, our_threads

# Seconds: the time-out of a connection, and a time clearly below it.
TIMEOUT, AT_ONCE = 1.0, 0.5

PROBE = "django_redislock-probe"


@pytest.fixture
def node(proxy: Proxy) -> Iterator[Node]:
    node = node_at(proxy.url, socket_timeout=TIMEOUT)
    assert echo(node, "warm") == "warm"
    yield node
    proxy.pass_through()
    node.close()


def times_out(node: Node, within: float | None = None) -> None:
    with pytest.raises(RedisTimeoutError):
        node.exchange((PING,), within)


def is_refused(node: Node) -> None:
    began = time.monotonic()
    with pytest.raises(ServerAway):
        node.exchange((PING,))
    assert time.monotonic() - began < AT_ONCE


def answers(node: Node) -> None:
    wait_until(lambda: not node.breaker.is_open())
    assert echo(node, "again") == "again"


def test_a_time_out_on_a_fresh_connection_opens_the_breaker(node: Node, proxy: Proxy) -> None:
    proxy.black_hole()
    proxy.cut()
    times_out(node)
    is_refused(node)
    proxy.pass_through()
    answers(node)


def test_a_time_out_on_an_old_connection_does_not_open_the_breaker(
    node: Node, proxy: Proxy
) -> None:
    proxy.black_hole()
    times_out(node)
    proxy.pass_through()
    assert echo(node, "again") == "again"
    # An answer in between: the failures are not in a row.
    proxy.black_hole()
    times_out(node)
    assert not node.breaker.is_open()


def test_two_time_outs_in_a_row_open_the_breaker(node: Node, proxy: Proxy) -> None:
    proxy.black_hole()
    times_out(node)
    times_out(node)
    is_refused(node)


def test_an_open_breaker_lets_only_urgent_requests_through(node: Node, proxy: Proxy) -> None:
    proxy.black_hole()
    times_out(node)
    times_out(node)
    sent = proxy.count("ECHO")
    for _ in range(10):
        with pytest.raises(ServerAway):
            echo(node, "refused")
    assert proxy.count("ECHO") == sent
    proxy.pass_through()
    (reply,), _ = node.exchange((PING,), urgent=True)
    assert reply == b"PONG"
    assert not node.breaker.is_open(), "any answer closes it"


def test_the_error_of_a_refused_request_has_its_cause(node: Node, proxy: Proxy) -> None:
    proxy.black_hole()
    times_out(node)
    times_out(node)
    with pytest.raises(ServerAway) as refused:
        echo(node, "refused")
    assert isinstance(refused.value.__cause__, RedisTimeoutError)
    assert refused.value.__cause__.__traceback__ is None


def test_a_time_out_after_a_very_short_time_limit_is_not_counted(node: Node, proxy: Proxy) -> None:
    proxy.black_hole()
    for _ in range(3):
        times_out(node, within=0.01)
    assert not node.breaker.failures


def test_a_refused_connection_does_not_open_the_breaker(node: Node, proxy: Proxy) -> None:
    proxy.refuse()
    proxy.cut()
    for _ in range(3):
        with pytest.raises(RedisError):
            echo(node, "refused")
    proxy.accept()
    assert echo(node, "again") == "again"


def test_waiters_are_notified_when_the_server_is_back(node: Node, proxy: Proxy) -> None:
    reported: list[str] = []
    node.on_absent = lambda _: reported.append("absent")
    node.on_back = lambda _: reported.append("back")
    proxy.black_hole()
    times_out(node)
    times_out(node)
    wait_until(lambda: reported.count("absent") > 1)
    assert "back" not in reported
    proxy.pass_through()
    wait_until(lambda: "back" in reported)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level("INFO", "django_redislock")
    return caplog


def goes_away(node: Node, proxy: Proxy, log: pytest.LogCaptureFixture) -> None:
    """Let the server hang until the breaker is open, which is logged."""
    proxy.black_hole()
    while not node.breaker.is_open():
        times_out(node)
    wait_until(lambda: "Requests are refused until it answers" in said(proxy, log))


def said(proxy: Proxy, log: pytest.LogCaptureFixture) -> str:
    """The log of this server. An earlier test may have left the probe of another."""
    return "\n".join(message for message in log.messages if proxy.url in message)


def test_the_log_says_how_long_the_server_was_away(
    node: Node, proxy: Proxy, log: pytest.LogCaptureFixture
) -> None:
    goes_away(node, proxy, log)
    assert "is back" not in said(proxy, log)
    proxy.pass_through()
    wait_until(lambda: "is back after " in said(proxy, log))


def test_the_log_says_so_when_a_request_closes_the_breaker(
    node: Node, proxy: Proxy, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Breaker, "_is_answered", lambda *_: False)
    goes_away(node, proxy, log)
    proxy.pass_through()
    node.exchange((PING,), urgent=True)
    wait_until(lambda: "is back after " in said(proxy, log))


def test_a_server_that_is_not_probed_any_more_is_not_logged_as_back(
    node: Node, proxy: Proxy, log: pytest.LogCaptureFixture
) -> None:
    goes_away(node, proxy, log)
    node.close()
    wait_until(lambda: PROBE not in our_threads())
    assert "is back" not in said(proxy, log)


def test_nodes_at_one_address_share_a_breaker(node: Node, proxy: Proxy) -> None:
    other = node_at(f"{proxy.url[:-1]}7?protocol=3")
    assert other.breaker is node.breaker
    proxy.black_hole()
    times_out(node)
    times_out(node)
    is_refused(other)
    other.close()


def test_an_attempt_that_waits_for_a_connection_is_refused_too(node: Node, proxy: Proxy) -> None:
    """Requests that waited for a connection must not each time out in turn."""
    taken = [node._free.pop() for _ in range(30)]
    proxy.black_hole()
    proxy.cut()

    def error(_: int) -> RedisError | None:
        try:
            node.exchange((PING,), 20)
        except RedisError as error:
            return error
        return None

    with ThreadPoolExecutor(8) as threads:
        errors = list(threads.map(error, range(8)))
    kinds = Counter(map(type, errors))
    assert kinds == {RedisTimeoutError: 2, ServerAway: 6}
    node._free.extend(taken)


def test_another_address_has_another_breaker(node: Node, redis_url: str) -> None:
    assert node_at(redis_url).breaker is not node.breaker


def test_a_breaker_is_forgotten_with_its_nodes() -> None:
    breaker = breaker_of("somewhere")
    assert breaker_of("somewhere") is breaker
    breaker.failures.append(RedisTimeoutError())
    del breaker
    gc.collect()
    assert not breaker_of("somewhere").failures


def test_a_forked_child_knows_nothing(node: Node, proxy: Proxy) -> None:
    proxy.black_hole()
    times_out(node)
    times_out(node)
    proxy.pass_through()
    node.after_fork()
    assert echo(node, "child") == "child"


def test_the_breaker_stays_closed_when_no_thread_can_start(own_server: EmbeddedServer) -> None:
    """No probe would find out that the server is back."""
    node = node_at(own_server.url, socket_timeout=TIMEOUT)
    with frozen(own_server.pid):
        with no_thread_can_start():
            times_out(node)
            times_out(node)
        is_refused(node)
    answers(node)
    node.close()


def test_an_unused_server_is_not_probed_for_ever(
    node: Node, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_module, "LINGER", 0.5)
    proxy.black_hole()
    times_out(node)
    times_out(node)
    wait_until(lambda: PROBE in our_threads())
    monkeypatch.setitem(ServiceThread.own, get_ident(), ServiceThread("ours", bool, bool))

    def is_probed() -> bool:
        with suppress(ServerAway):
            node.breaker.refuse()  # a thread of ours, such as the renewal, is no use of the server
        return PROBE in our_threads()

    wait_until(lambda: not is_probed())
    monkeypatch.undo()
    times_out(node)


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no"),
        RedisError("no"),
        RedisConnectionError("Error 1 connecting to h:1. [SSL: CERTIFICATE_VERIFY_FAILED]"),
        ValueError("no"),
    ],
)
def test_an_error_reply_counts_as_an_answer(error: Exception) -> None:
    breaker = Breaker()
    breaker.failed(error, 60.0, 5.0, fresh=True)
    assert not breaker.failures


def test_a_frozen_server_opens_the_breaker(own_server: EmbeddedServer) -> None:
    node = node_at(own_server.url, socket_timeout=TIMEOUT)
    with frozen(own_server.pid):
        times_out(node)
        is_refused(node)
    answers(node)
    node.close()
