"""Interruptions at any place of a request over a connection."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_redislock.backends.redis.wire import links, node as node_module
from django_redislock.backends.redis.wire.links import Link
from django_redislock.backends.redis.wire.node import AT_ONCE, Node
from tests.backends.nodes import echo, node_at
from tests.support.interruptions import interrupt, places_in

FOLDER = str(Path(links.__file__).parent)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collect half-made sockets of interruptions here, not during a later test."""
    yield
    gc.collect()


@pytest.fixture(params=["fresh", "idle", "new", "cut"])
def state(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The state of the connection that is used next."""
    monkeypatch.setattr(links, "ASSUMED_OPEN", -1.0 if request.param == "idle" else 60.0)
    monkeypatch.setattr(node_module, "LOST_AFTER", -60.0)
    return str(request.param)


def prepare(node: Node, state: str) -> None:
    link = node._free[-1]
    if state == "new":
        link.close()
    elif state == "cut" and link.sock is not None:
        link.sock.shutdown(socket.SHUT_RDWR)


def check(node: Node, word: str) -> int:
    """Check that everything works; return how many connections the interruption had taken."""
    assert len(node._free) == len({*node._free}) <= AT_ONCE
    lost = AT_ONCE - len(node._free)
    assert echo(node, word) == word
    if len(node._free) < AT_ONCE:
        for _ in range(node_module.MISSED):
            node.mend()
    assert {*node._free} == {*node._links}
    assert len(node._free) == AT_ONCE
    assert not node._line
    return lost


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a __del__
def test_an_interruption_anywhere_loses_no_connection(redis_url: str, state: str) -> None:
    files = (links.__file__, node_module.__file__)
    node = node_at(redis_url)
    assert echo(node, "warm") == "warm"
    prepare(node, state)
    places = places_in(lambda: echo(node, "counted"), inside=files)
    lost = 0
    for place in range(places):
        prepare(node, state)
        interrupt(lambda: echo(node, "interrupted"), at=place, inside=files)
        lost += check(node, f"after {place}")
    assert places > 10
    assert lost
    node.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a __del__
@pytest.mark.parametrize("again_after", [0, 1])
def test_two_interruptions_in_a_row_lose_no_connection(
    redis_url: str, state: str, again_after: int
) -> None:
    """The second comes during the clean-up after the first."""
    node = node_at(redis_url)
    assert echo(node, "warm") == "warm"
    raised = []
    prepare(node, state)
    for place in range(places_in(lambda: echo(node, "counted"), inside=FOLDER)):
        prepare(node, state)
        raised += [
            interrupt(
                lambda: echo(node, "interrupted"), at=place, again_after=again_after, inside=FOLDER
            )
        ]
        check(node, f"after {place}")
    assert {str(one) for one in raised} >= {"the first", "the second"}
    node.close()


def test_an_interrupted_wait_for_a_connection_loses_none(redis_url: str) -> None:
    node = node_at(redis_url)
    place, error = 0, None
    while place == 0 or error is not None:
        taken = [node._free.pop() for _ in range(AT_ONCE)]
        is_over = threading.Event()
        giver = threading.Thread(target=_give_back, args=(node, taken, is_over))
        giver.start()
        error = interrupt(lambda: echo(node, "interrupted"), at=place, inside=node_module.__file__)
        is_over.set()
        giver.join()
        assert len(node._free) == len({*node._free}) <= AT_ONCE
        began = time.monotonic()
        assert echo(node, "after") == "after"
        assert time.monotonic() - began < 4
        node._line.clear()
        node._free.clear()
        node._free.extend(node._links)
        place += 1
    assert place > 5
    node.close()


def _give_back(node: Node, taken: list[Link], is_over: threading.Event) -> None:
    """Give the links back while the request waits for one, or when it has been interrupted."""
    while not (node._line or is_over.wait(0.001)):
        pass
    node._free.extend(taken)
    node._ring()
