"""Locations: servers for locks without a cache, and options of their connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from django.conf import LazySettings
from redis import Redis
from redis.connection import Connection, SSLConnection
from redis.credentials import CredentialProvider

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.commands import pack
from django_redislock.backends.redis.sources.locations import parameters
from django_redislock.checks import check_backends
from django_redislock.testing.servers import EmbeddedServer
from tests.support.sentinel import SentinelSet
from tests.support.tls import Certificates, TlsServer

PASSWORD = "s/ec:ret@"
QUOTED = "s%2Fec%3Aret%40"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server with a Unix socket, and a user with all rights."""
    path = tmp_path_factory.mktemp("server") / "socket"
    with EmbeddedServer(args=("--unixsocket", str(path))) as server:
        with Redis.from_url(server.url) as client:
            rules = ("on", f">{PASSWORD}", "~*", "&*", "+@all")
            client.execute_command("ACL", "SETUSER", "ann", *rules)
        yield server


@pytest.fixture
def tls(server: EmbeddedServer, certificates: Certificates) -> Iterator[TlsServer]:
    with closing(TlsServer(certificates, server.port)) as tls:
        yield tls
        lock_backends.reset()


@pytest.fixture
def at(settings: LazySettings) -> Iterator[Callable[..., RedisLockBackend]]:
    """A function that keeps the locks at a location, with these options."""

    def at(location: str, **options: Any) -> RedisLockBackend:
        settings.CACHES = {}
        settings.LOCKS = {"default": {"LOCATION": location, "OPTIONS": options}}
        backend = lock_backends["default"]
        assert isinstance(backend, RedisLockBackend)
        return backend

    yield at
    lock_backends.reset()


def works(backend: RedisLockBackend) -> None:
    """Check that threads and coroutines exclude each other there."""

    async def take() -> None:
        async with lock("by a coroutine", wait=0):
            assert not lock("by a coroutine").acquire(wait=0)
        assert not await lock("by a thread").aacquire(wait=0)

    with lock("by a thread", wait=0):
        asyncio.run(take())
    assert backend.list().total == 0


def database_of(client: Redis, name: str) -> set[tuple[str, str, str]]:
    return {
        # Redis 6.2 does not say which protocol a connection speaks.
        (one["db"], one["user"], one.get("resp", ""))
        for one in client.client_list()
        if one["name"] == name
    }


def test_a_redis_url(at: Any, server: EmbeddedServer) -> None:
    backend = at(f"redis://127.0.0.1:{server.port}/3", client_name="locks")
    works(backend)
    with Redis.from_url(server.url) as client, lock("a", wait=0):
        assert {db for db, _, _ in database_of(client, "locks")} == {"3"}
    assert backend.source.where == f"LOCKS['default'], redis://127.0.0.1:{server.port}/3"


@pytest.mark.redis_server("7.0")
@pytest.mark.parametrize("protocol", [2, 3])
def test_connection_options_apply_to_threads_and_coroutines(
    at: Any, server: EmbeddedServer, protocol: int
) -> None:
    at(
        f"redis://127.0.0.1:{server.port}",
        db=2,
        client_name=(name := f"locks-{protocol}"),
        protocol=protocol,
        username="ann",
        password=PASSWORD,
    )

    async def look() -> None:
        with Redis.from_url(server.url) as client:
            assert database_of(client, name) == set()
            async with lock("a", wait=0):
                assert database_of(client, name) == {("2", "ann", str(protocol))}

    asyncio.run(look())
    with Redis.from_url(server.url) as client, lock("a", wait=0):
        assert database_of(client, name) == {("2", "ann", str(protocol))}


def test_a_url_may_have_credentials(at: Any, server: EmbeddedServer) -> None:
    works(at(f"redis://ann:{QUOTED}@127.0.0.1:{server.port}/0"))
    works(at(f"redis://127.0.0.1:{server.port}/0?username=ann&password={QUOTED}"))
    at(f"redis://ann:wrong@127.0.0.1:{server.port}/0")
    with pytest.raises(LockUnavailable, match="refuses the user or password"):
        lock("a").acquire(wait=0)
    with pytest.raises(LockUnavailable, match="refuses the user or password"):
        asyncio.run(lock("a").aacquire(wait=0))


def test_options_may_have_a_credential_provider(at: Any, server: EmbeddedServer) -> None:
    asked = []

    class Provider(CredentialProvider):
        def get_credentials(self) -> tuple[str, str]:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                asked.append("where it may block")
            else:
                asked.append("in an event loop")
            return "ann", PASSWORD

    works(at(f"redis://127.0.0.1:{server.port}/0", credential_provider=Provider()))
    assert set(asked) == {"where it may block"}


def test_a_url_of_a_unix_socket(at: Any, server: EmbeddedServer) -> None:
    path = server.args[1]
    backend = at(f"unix://{path}?db=4")
    works(backend)
    assert backend.source.database == 4
    works(at(f"unix://ann:{QUOTED}@{path}"))


def test_a_url_with_tls(at: Any, tls: TlsServer, tls_options: dict[str, Any]) -> None:
    works(at(f"rediss://127.0.0.1:{tls.port}/0", **tls_options))


def test_an_untrusted_certificate_is_refused(
    at: Any, tls: TlsServer, tls_options: dict[str, Any]
) -> None:
    del tls_options["ssl_ca_certs"]
    at(f"rediss://127.0.0.1:{tls.port}/0", **tls_options)
    with pytest.raises(LockUnavailable, match="(?i)certificate verify failed"):
        lock("a").acquire(wait=0)
    with pytest.raises(LockUnavailable, match="(?i)certificate verify failed"):
        asyncio.run(lock("a").aacquire(wait=0))
    works(at(f"rediss://127.0.0.1:{tls.port}/0?ssl_cert_reqs=none", **tls_options))


def test_verify_flags_apply_to_coroutines_too(
    at: Any, server: EmbeddedServer, certificates: Certificates, tls_options: dict[str, Any]
) -> None:
    if "ssl_include_verify_flags" not in parameters(SSLConnection):
        pytest.skip("this redis-py has no such option")
    strict = [ssl.VerifyFlags.VERIFY_X509_STRICT]
    with closing(TlsServer(certificates, server.port, vague=True)) as tls:
        location = f"rediss://127.0.0.1:{tls.port}/0"
        at(location, ssl_include_verify_flags=strict, **tls_options)
        with pytest.raises(LockUnavailable, match="(?i)certificate verify failed"):
            lock("a").acquire(wait=0)
        with pytest.raises(LockUnavailable, match="(?i)certificate verify failed"):
            asyncio.run(lock("a").aacquire(wait=0))
        works(at(location, ssl_exclude_verify_flags=strict, **tls_options))
        lock_backends.reset()


def test_a_custom_connect_function_is_used(at: Any, server: EmbeddedServer) -> None:
    def on_connect(connection: Connection) -> None:
        connection.on_connect()
        connection.send_command("CLIENT", "SETNAME", "by-hand")
        connection.read_response()

    works(at(f"redis://127.0.0.1:{server.port}/0", redis_connect_func=on_connect))

    async def look() -> None:
        async with lock("a", wait=0):
            with Redis.from_url(server.url) as client:
                assert len(database_of(client, "by-hand")) == 1

    lock_backends.reset()
    asyncio.run(look())


class OwnConnection(Connection):
    """Counts those that are painted."""

    made = 0

    def __init__(self, *, colour: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        type(self).made += bool(colour)


def make(**kwargs: Any) -> Connection:
    return OwnConnection(colour="red", **kwargs)


def test_a_custom_connection_class_is_used(at: Any, server: EmbeddedServer) -> None:
    url = f"redis://127.0.0.1:{server.port}/0"
    before = OwnConnection.made
    works(at(url, connection_class=OwnConnection, colour="red"))
    assert OwnConnection.made > before
    works(at(url, connection_class=f"{__name__}.OwnConnection"))


def test_a_custom_connection_class_may_be_a_function(at: Any, server: EmbeddedServer) -> None:
    before = OwnConnection.made
    works(at(f"redis://127.0.0.1:{server.port}/0", connection_class=make))
    assert OwnConnection.made > before


class OwnTls(SSLConnection):
    pass


def make_tls(**kwargs: Any) -> Connection:
    return OwnTls(**kwargs)


@pytest.mark.parametrize(
    "options",
    [
        {"redis_connect_func": lambda connection: connection.on_connect()},
        {"connection_class": OwnTls},
        {"connection_class": make_tls},
    ],
    ids=["a function that connects", "a class", "a callable"],
)
def test_a_set_up_of_your_own_with_tls(
    at: Any, tls: TlsServer, tls_options: dict[str, Any], options: dict[str, Any]
) -> None:
    works(at(f"rediss://127.0.0.1:{tls.port}/0", **tls_options, **options))
    assert not check_backends(deploy=False)


def test_coroutines_exchange_long_texts_with_tls(
    at: Any, tls: TlsServer, tls_options: dict[str, Any]
) -> None:
    node = at(f"rediss://127.0.0.1:{tls.port}/0", **tls_options).node
    texts = [str(number) * 1_000_000 for number in range(5)]

    async def exchange() -> list[Any]:
        return await asyncio.gather(*(node.aexchange([pack("ECHO", text)]) for text in texts))

    assert [reply.decode() for (reply,), _ in asyncio.run(exchange())] == texts


def test_a_url_of_sentinels(at: Any) -> None:
    with SentinelSet() as servers:
        hosts = f"127.0.0.1:1,127.0.0.1:{servers.port}"
        backend = at(f"sentinel://{hosts}/{servers.service}/2", client_name="locks")
        works(backend)
        with lock("a", wait=0), Redis(port=servers.primary.port) as client:
            assert {db for db, _, _ in database_of(client, "locks")} == {"2"}
        assert backend.source.where.endswith(f"sentinel://{hosts}/{servers.service}/2")
        at(f"sentinel://127.0.0.1:{servers.port}/nobody/2")
        with pytest.raises(LockUnavailable, match="nobody"):
            lock("a").acquire(wait=0)
        with pytest.raises(LockUnavailable, match="nobody"):
            asyncio.run(lock("a").aacquire(wait=0))
