"""The wake-up connection of a process."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
from redis.connection import ConnectionPool

from django_redislock import lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.keys import bucket_of
from django_redislock.backends.redis.sources.source import Source
from django_redislock.backends.redis.wakeups import connection, subscriber
from django_redislock.backends.redis.wakeups.subscriber import Subscriber
from django_redislock.backends.waiters import ThreadWaiter
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import wait_until
from tests.support.proxy import Proxy


@pytest.fixture
def pings(monkeypatch: pytest.MonkeyPatch) -> list[Subscriber]:
    """The connections that have sent a PING, which are sent often here."""
    monkeypatch.setattr(subscriber, "PING_AFTER", 0.02)
    monkeypatch.setattr(connection, "LINGER", 30.0)
    sent, send = list[Subscriber](), Subscriber.send

    def note(self: Subscriber, *words: str) -> None:
        if words == ("PING",):
            sent.append(self)
        send(self, *words)

    monkeypatch.setattr(Subscriber, "send", note)
    return sent


def listening() -> RedisLockBackend:
    backend = lock_backends["default"]
    assert isinstance(backend, RedisLockBackend)
    backend.listen("a", 10)
    return backend


def test_a_password_that_the_server_does_not_ask_for_keeps_nobody_from_waiting(
    settings: Any, redis_url: str
) -> None:
    """RESP3 logs in the default user, from whom such a server accepts any password."""
    location = redis_url.replace("://", "://:secret@") + "?protocol=3"
    settings.LOCKS = {"default": {"LOCATION": location}}
    assert listening().listening("a")


def test_a_silent_connection_is_probed_and_kept(
    place: Place, pings: list[Subscriber], caplog: pytest.LogCaptureFixture
) -> None:
    backend = listening()
    sock = backend.wakeups._subscriber.sock
    wait_until(lambda: len(pings) >= 2, what="it is probed again")
    assert backend.wakeups._subscriber.sock is sock
    assert backend.listening("a")
    assert caplog.messages == []
    backend.close()


def test_a_connection_without_an_answer_to_a_ping_is_replaced(
    use: UsePlace, proxy: Proxy, pings: list[Subscriber], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber, "PONG_WITHIN", 0.1)
    use(proxy.url)
    backend = listening()
    sock = backend.wakeups._subscriber.sock
    proxy.black_hole()
    wait_until(lambda: backend.wakeups._subscriber.sock is not sock, what="it is given up")
    assert not backend.listening("a")
    proxy.pass_through()
    backend.listen("a", 10)
    backend.close()


def test_a_waiter_that_comes_while_the_connection_closes_is_subscribed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LINGER", 0.05)
    closed, close = threading.Event(), Subscriber.close

    def close_as_a_waiter_comes(self: Subscriber) -> None:
        close(self)
        if backend.wakeups.thread.is_current and not closed.is_set():
            backend.waiters.enter("a", "0" * 32, ThreadWaiter())
            closed.set()

    backend = listening()
    monkeypatch.setattr(Subscriber, "close", close_as_a_waiter_comes)
    assert closed.wait(30)
    channel = backend.wakeups._channel(bucket_of("a"))

    def is_subscribed() -> bool:
        backend.listen("a", 10)
        with place.client() as client:
            return bool(client.execute_command("PUBSUB", "NUMSUB", channel)[1])

    wait_until(is_subscribed)
    backend.waiters.leave("a", "0" * 32)
    backend.close()


def test_callers_do_not_make_it_reconnect_without_pause(
    use: UsePlace, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RECONNECT_AFTER", (20.0,))
    opened, open_ = list[Subscriber](), Subscriber.open

    def count(self: Subscriber) -> None:
        opened.append(self)
        open_(self)

    monkeypatch.setattr(Subscriber, "open", count)
    use(proxy.url)
    backend = listening()
    proxy.refuse()
    proxy.cut()
    wait_until(lambda: not backend.listening("a"), what="it is cut")
    for _ in range(10):
        backend.listen("a", 0.05)
    assert len(opened) == 1
    began = time.monotonic()
    backend.close()
    assert time.monotonic() - began < connection.ENDS_WITHIN, "closing ends the pause"


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000])
def test_an_invalid_message_is_ignored(
    place: Place, caplog: pytest.LogCaptureFixture, number: str
) -> None:
    backend = listening()
    sock, lost = backend.wakeups._subscriber.sock, list[str]()
    backend.on_force_release = lambda _place, _name, token: lost.append(token)
    channel = backend.wakeups._channel(bucket_of("a"))
    with place.client() as client:
        for line in (f"turn 3 token 1 {number} a", f"turn 3 token {number} 1 a", "lost 1 token a"):
            assert client.publish(channel, line) == 1
    wait_until(lambda: lost == ["token"])
    assert backend.wakeups._subscriber.sock is sock
    assert caplog.messages == []
    backend.close()


def test_messages_are_separated_whatever_pieces_they_arrive_in() -> None:
    def pushed(text: bytes) -> bytes:
        return b"*3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n$%d\r\n%b\r\n" % (len(text), text)

    here, there = socket.socketpair()
    subscribed = Subscriber(Source(ConnectionPool(), "here"))
    subscribed._keep(here)
    texts = [b"one", pushed(b"no message") + b"one", b"", b"two\r\n"]
    for text in texts:
        there.sendall(pushed(text))
        assert subscribed.messages() == [[b"message", b"channel", text]]
    there.sendall(b"".join(map(pushed, texts)))
    assert subscribed.messages() == [[b"message", b"channel", text] for text in texts]
    whole = pushed(b"in pieces") + pushed(b"after it")
    for place in range(1, len(whole)):
        there.sendall(whole[:place])
        first = subscribed.messages()
        there.sendall(whole[place:])
        assert [text for *_, text in first + subscribed.messages()] == [b"in pieces", b"after it"]
    inside = pushed(b"no message")
    before, after = pushed(inside).split(inside)
    for part in (before, inside):
        there.sendall(part)
        assert subscribed.messages() == []
    there.sendall(after)
    assert subscribed.messages() == [[b"message", b"channel", inside]]
    subscribed.close()
    there.close()


def test_a_process_that_was_frozen_gives_the_server_time_to_answer() -> None:
    """The PING was overdue, and is sent only now."""
    here, there = socket.socketpair()
    one = Subscriber(Source(ConnectionPool(), "here"))
    one._keep(here)
    now = 3600.0
    due = one.probe(now)
    assert due == now + subscriber.PONG_WITHIN
    assert one.probe(now + 0.001) == due
    with pytest.raises(OSError, match="did not answer"):
        one.probe(due + 0.001)
    one.close()
    there.close()


def test_a_server_that_stays_a_replica_is_not_reconnected_all_the_time() -> None:
    one = Subscriber(Source(ConnectionPool(), "here"))
    one.is_outdated = True
    due = one.probe(one._opened_at)
    assert due == one._opened_at + subscriber.OUTDATED_AFTER
    with pytest.raises(OSError, match="may be the primary now"):
        one.probe(due)
