"""Texts of errors on the way to a server, and hints of the checks."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.cluster.nodes import Cluster
from django_redislock.backends.redis.error_texts import unavailable
from django_redislock.backends.redis.errors import NotAsked, is_absence
from django_redislock.backends.redis.keys import bucket_of
from django_redislock.backends.redis.scripts import ACQUIRE
from django_redislock.backends.redis.slots import Address
from django_redislock.backends.redis.wire.node import AT_ONCE
from django_redislock.checks import check_backends
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.support.processes import frozen
from tests.support.proxy import Proxy
from tests.support.refusing import Refusing


def in_thread() -> None:
    lock("a").acquire()


def in_coroutine() -> None:
    asyncio.run(lock("a").aacquire())


def listed() -> None:
    lock_backends["default"].list()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """`nowhere.invalid` without a name server, which may answer slowly."""
    ask = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host == "nowhere.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ask(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("act", [in_thread, in_coroutine, listed])
@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("redis://127.0.0.1:1/0", "does not answer at 127.0.0.1:1; is it running? Connection ref"),
        ("unix:///nowhere.sock", "does not answer at /nowhere.sock; is it running? No such file"),
        ("redis://nowhere.invalid/0", "cannot be found at nowhere.invalid:6379: "),
        ("redis://no..where/0", "cannot be found at no..where:6379: "),
        ("sentinel://127.0.0.1:1/main", "does not answer at the Sentinels 127.0.0.1:1; is it run"),
    ],
)
def test_the_error_of_a_server_that_does_not_answer(
    settings: Any, act: Callable[[], None], location: str, words: str
) -> None:
    settings.LOCKS = {"default": {"LOCATION": location}}
    with pytest.raises(LockUnavailable) as caught:
        act()
    text = str(caught.value)
    assert words in text
    assert text.count("LOCKS['default']") == 1
    assert "Error " not in text


def test_the_check_of_a_host_that_cannot_exist(settings: Any) -> None:
    settings.LOCKS = {"default": {"LOCATION": "redis://no..where/0"}}
    (message,) = check_backends(deploy=True)
    assert "cannot be found at no..where:6379: " in message.msg


def test_the_error_of_a_server_that_has_fewer_databases(settings: Any, redis_url: str) -> None:
    settings.LOCKS = {"default": {"LOCATION": redis_url.removesuffix("/0") + "/9999"}}
    with pytest.raises(LockUnavailable, match="has no database with the number in the settings"):
        in_thread()


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server that answers with these bytes and closes; with None it hangs."""
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client:
                        client.recv(1000)
                        client.sendall(request.param)

        thread = threading.Thread(target=serve)
        if request.param is not None:
            thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        if request.param is not None:
            thread.join()


@pytest.mark.parametrize("act", [in_thread, in_coroutine, listed])
@pytest.mark.parametrize(
    ("port", "scheme", "words"),
    [
        (b"", "redis", "accepted the connection and closed it: is it a Redis server?"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "redis", "did not answer as a Redis server does: "),
        (b"-ERR unknown\r\n", "rediss", "if this port does not, write redis://"),
        # As Redis does, which waits for the end of the supposed line.
        (None, "rediss", "if this port does not, write redis://"),
    ],
    indirect=["port"],
)
def test_the_error_of_a_server_of_another_kind(
    settings: Any, act: Callable[[], None], port: int, scheme: str, words: str
) -> None:
    entry = {"LOCATION": f"{scheme}://{HOST}:{port}/0", "OPTIONS": {"socket_timeout": 1.5}}
    settings.LOCKS = {"default": entry}
    with pytest.raises(LockUnavailable) as caught:
        act()
    assert words in str(caught.value)
    (message,) = check_backends(deploy=True)
    assert words in message.msg


@pytest.mark.parametrize("act", [in_thread, in_coroutine, listed])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", "Redis is loading"),
        (b"-BUSY Redis is busy running a script.\r\n", "BUSY Redis is busy running"),
        (b"-ERR max number of clients reached\r\n", "max number of clients reached"),
    ],
)
def test_the_error_of_a_busy_server(
    settings: Any, act: Callable[[], None], refusing: Refusing, error: bytes, words: str
) -> None:
    refusing.error = error
    settings.LOCKS = {"default": {"LOCATION": f"redis://{HOST}:{refusing.server_address[1]}/0"}}
    with pytest.raises(LockUnavailable, match=f"did not carry out the request: {words}"):
        act()
    (message,) = check_backends(deploy=True)
    assert f"did not carry out the request: {words}" in message.msg
    assert message.hint == "The server answers, but is busy: run this check again later."


@pytest.mark.parametrize("act", [in_thread, in_coroutine])
def test_the_error_of_connections_that_are_cut(
    settings: Any, act: Callable[[], None], proxy: Proxy
) -> None:
    settings.LOCKS = {"default": {"LOCATION": proxy.url}}
    for _ in range(2):
        proxy.drop_next_request(ACQUIRE.sha)
    with pytest.raises(LockUnavailable, match=rf"at {HOST}:{proxy.port} cut the connection: is"):
        act()


@pytest.mark.parametrize("act", [in_thread, in_coroutine])
def test_the_error_of_a_replica_says_so(
    settings: Any, act: Callable[[], None], own_server: EmbeddedServer
) -> None:
    settings.LOCKS = {"default": {"LOCATION": own_server.url}}
    with Redis.from_url(own_server.url) as client:
        client.replicaof(HOST, "1")
    with pytest.raises(LockUnavailable, match=f"at {HOST}:{own_server.port} is a replica: name"):
        act()


def test_the_hint_for_a_user_without_a_right(settings: Any) -> None:
    with EmbeddedServer() as server:
        address = server.url.removeprefix("redis://")
        with Redis.from_url(server.url) as client:
            categories = ["+@all", "-@dangerous"]
            client.acl_setuser("few", enabled=True, nopass=True, categories=categories)
        settings.LOCKS = {"default": {"LOCATION": f"redis://few:any@{address}"}}
        (message,) = check_backends(deploy=True)
    assert "no permissions to run the 'info' command" in message.msg
    assert message.hint == (
        "The server answers, but refuses: give the rights that the documentation of the backend "
        "lists to the user of LOCKS['default']['LOCATION'] and ['OPTIONS']."
    )


@pytest.mark.parametrize("port", [None], indirect=True)
@pytest.mark.parametrize(
    ("act", "words"),
    [
        (in_thread, "accepted the connection and gave no answer in time: it hangs"),
        # Here it is not known how far the connecting had come.
        (in_coroutine, "is it running, or does it hang?"),
    ],
)
def test_the_error_of_a_server_that_hangs_from_the_start(
    settings: Any, act: Callable[[], None], words: str, port: int
) -> None:
    entry = {"LOCATION": f"redis://{HOST}:{port}/0", "OPTIONS": {"socket_timeout": 0.3}}
    settings.LOCKS = {"default": entry}
    with pytest.raises(LockUnavailable) as caught:
        act()
    assert words in str(caught.value)
    (message,) = check_backends(deploy=True)
    assert str(message.hint).startswith("See whether the server is stopped, swaps or runs a slow")


@pytest.mark.parametrize("act", [in_thread, in_coroutine])
def test_the_error_of_a_server_that_hangs_later_does_not_suggest_to_start_it(
    settings: Any, act: Callable[[], None]
) -> None:
    """The connection is already open."""
    with EmbeddedServer() as server:
        entry = {"LOCATION": server.url, "OPTIONS": {"socket_timeout": 0.3}}
        settings.LOCKS = {"default": entry}

        async def take_twice() -> None:
            async with lock("b"):
                pass
            with frozen(server.pid):
                await lock("a").aacquire()

        with pytest.raises(LockUnavailable, match="it hangs|does it hang"):
            if act is in_coroutine:
                asyncio.run(take_twice())
            else:
                with lock("b"):
                    pass
                with frozen(server.pid):
                    act()
        lock_backends["default"].close()


@pytest.mark.parametrize("act", [in_thread, in_coroutine])
def test_the_error_of_a_server_that_is_no_sentinel(
    settings: Any, redis_url: str, act: Callable[[], None]
) -> None:
    address = redis_url.removeprefix("redis://").rpartition("/")[0]
    settings.LOCKS = {"default": {"LOCATION": f"sentinel://{address}/main/1"}}
    with pytest.raises(LockUnavailable, match=r"is not a Sentinel\. Name the Sentinels"):
        act()
    (message,) = check_backends(deploy=True)
    assert "is not a Sentinel" in message.msg
    assert "password" not in str(message.hint)


def test_the_hint_for_an_unneeded_password(settings: Any, redis_url: str) -> None:
    location = redis_url.replace("://", "://:secret@") + "?protocol=2"
    settings.LOCKS = {"default": {"LOCATION": location}}
    (message,) = check_backends(deploy=True)
    assert message.id == "locks.W001"
    assert "asks for no password, and the settings give one: leave it out" in message.msg
    assert "leave the password out of LOCKS['default']['LOCATION']" in str(message.hint)


def test_the_error_of_a_certificate_that_is_not_trusted() -> None:
    text = "Error 1 connecting to a:1. [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed."
    error = unavailable("LOCKS['default']", "a:1", "", RedisConnectionError(text))
    assert "cannot be connected to at a:1: [SSL: CERTIFICATE_VERIFY_FAILED]" in str(error)


@pytest.mark.parametrize("location", ["redis://{}", "cluster://{}"])
def test_the_error_of_used_up_connections_does_not_blame_the_server(
    settings: Any, location: str
) -> None:
    settings.LOCKS = {"default": {"LOCATION": location.format("127.0.0.1:1")}}
    backend = lock_backends["default"]
    assert isinstance(backend, RedisLockBackend)
    node = backend.node
    if isinstance(node, Cluster):
        node.topology.owners[bucket_of("a")] = of_bucket = node.topology.node_at(Address(HOST, 1))
    else:
        of_bucket = node
    taken = [of_bucket._free.pop() for _ in range(AT_ONCE)]
    with pytest.raises(LockUnavailable) as caught:
        lock("a").acquire(wait=0)
    of_bucket._free.extend(taken)
    assert "at 127.0.0.1:1 was not asked: all 32 connections of this process" in str(caught.value)
    assert "running" not in str(caught.value)
    assert (caught.value.asked, caught.value.sent) == (True, False)
    assert not is_absence(caught.value.__cause__)
    if isinstance(node, Cluster):
        assert not node.topology.doubted


def test_the_error_of_used_up_connections_does_not_mention_tls() -> None:
    error = unavailable("LOCKS['default'], rediss://a:1/0", "a:1", "", NotAsked("all 32 are"))
    assert str(error).endswith("at a:1 was not asked: all 32 are.")
