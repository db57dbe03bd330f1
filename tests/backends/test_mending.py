"""Mending: connections lost by interrupted callers are replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from django_redislock.backends.redis.sources.source import Source
from django_redislock.backends.redis.wire import node as node_module
from django_redislock.backends.redis.wire.links import Link
from django_redislock.backends.redis.wire.node import AT_ONCE, Node
from django_redislock.backends.redis.wire.parser import Parser
from django_redislock.process import ServiceThread
from tests.backends.nodes import PING, echo, node_at
from tests.support.processes import wait_until


@pytest.fixture
def node(redis_url: str) -> Iterator[Node]:
    node = node_at(redis_url)
    yield node
    node.close()


def test_a_lost_connection_is_replaced(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    assert echo(node, "warm") == "warm"
    lost = node._free.pop()
    monkeypatch.setattr(node_module, "LOST_AFTER", 0.1 - node._timeout)
    wait_until(lambda: node.mend() or lost not in node._links)
    assert len(node._free) == len(node._links) == AT_ONCE
    assert lost.retired
    with pytest.raises(RedisConnectionError):
        lost.exchange([PING], 1.0)


def test_a_connection_in_use_is_not_replaced(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    link = node._free.pop()
    monkeypatch.setattr(node_module, "LOST_AFTER", -60.0)
    for _ in range(3 * node_module.MISSED):
        assert link.exchange([PING], 1.0) == [b"PONG"]
        node.mend()
    assert link in node._links


def test_the_user_of_a_replaced_connection_sends_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Parser.read

    def mended(parser: Parser, count: int, more: Callable[[], bytes], data: bytes) -> Any:
        monkeypatch.setattr(Parser, "read", read)
        (out,) = {*node._links} - {*node._free}
        node._replace(out)
        return read(parser, count, more)

    assert echo(node, "warm") == "warm"
    monkeypatch.setattr(Parser, "read", mended)
    assert node.exchange([PING]) == ([b"PONG"], True)
    assert {*node._free} == {*node._links}
    assert len(node._free) == AT_ONCE


def test_a_waiter_that_was_notified_in_vain_stays_in_line(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another caller was quicker, so it is the next one to be notified."""
    monkeypatch.setattr(node_module, "LOOK_AGAIN", 60.0)
    links = [node._free.pop() for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(node.exchange, [PING], 60.0)
        wait_until(lambda: node._line)
        node._line.popleft().put(None)
        wait_until(lambda: node._line, what="it is in line again")
        node._free.extend(links)
        node._ring()
        assert waiting.result(30).replies == [b"PONG"]


def test_a_waiter_for_a_free_connection_is_notified(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module, "LOOK_AGAIN", 60.0)
    taken = [node._free.pop() for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(echo, node, "late")
        wait_until(lambda: len(node._line) == 1)
        # As a caller does that is interrupted before it notifies the waiter.
        node._free.extend(taken)
        node.mend()
        assert answer.result() == "late"


def test_a_waiter_that_is_interrupted_when_it_is_notified_notifies_the_next(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module, "LOOK_AGAIN", 60.0)
    take_within, waiting = node_module.take_within, threading.Event()

    def interrupted(*args: Any) -> None:
        monkeypatch.setattr(node_module, "take_within", take_within)
        waiting.set()
        take_within(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(node_module, "take_within", interrupted)
    taken = [node._free.pop() for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(node.exchange, [PING], 60.0)
        assert waiting.wait(30)
        second = threads.submit(node.exchange, [PING], 60.0)
        wait_until(lambda: len(node._line) == 2)
        node._free.extend(taken)
        node._ring()
        assert second.result(30).replies == [b"PONG"]
        assert isinstance(first.exception(30), KeyboardInterrupt)


def answers_in_our_thread(node: Node, *words: str) -> list[str]:
    """The answers that a service thread gets while no connection is free."""
    taken = [node._free.pop() for _ in range(AT_ONCE)]
    answers: list[str] = []
    jobs = [*words]

    def serve() -> None:
        while jobs:
            answers.append(echo(node, jobs.pop(0)))

    thread = ServiceThread("ours", serve, lambda: bool(jobs))
    thread.ensure()
    wait_until(lambda: len(answers) == len(words))
    assert thread.wait(10)
    assert not node._free
    node._free.extend(taken)
    return answers


def test_service_threads_never_wait_for_a_connection(node: Node) -> None:
    assert answers_in_our_thread(node, "first", "second") == ["first", "second"]


def test_a_connection_beside_the_others_is_closed_after_use(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Link] = []

    class Recorded(Link):
        def __init__(self, source: Source) -> None:
            super().__init__(source)
            made.append(self)

    monkeypatch.setattr(node_module, "Link", Recorded)
    answers_in_our_thread(node, "first", "second")
    assert [link.sock for link in made] == [None, None]
