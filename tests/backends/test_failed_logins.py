"""Failed logins, which are not repeated: a server may block clients that do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis.exceptions import AuthenticationError

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.commands import pack
from django_redislock.local.background import background
from django_redislock.local.registry import registry
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.backends.nodes import PING, node_at, opened
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.refusing import Refusing


@pytest.fixture
def guarded() -> Iterator[Proxy]:
    """A proxy in front of a server that requires a password."""
    with (
        EmbeddedServer(args=("--requirepass", "secret")) as server,
        Proxy(server.url) as proxy,
    ):
        yield proxy


def test_a_login_refused_on_a_new_connection_is_not_tried_again(guarded: Proxy) -> None:
    node = node_at(guarded.url.replace("secret", "wrong"))
    with pytest.raises(AuthenticationError):
        node.exchange([PING])
    assert guarded.opened == 1
    node.close()


def test_a_login_refused_on_an_old_connection_is_tried_again(guarded: Proxy) -> None:
    node = node_at(guarded.url)
    node.exchange([pack("RESET")])  # which logs out
    assert node.exchange([PING]) == ([b"PONG"], True)
    assert opened(node) == 1
    assert guarded.opened == 2
    node.close()


def in_thread() -> None:
    lock("a").acquire(wait=0)


def in_coroutine() -> None:
    asyncio.run(lock("a").aacquire(wait=0))


def jobs() -> int:
    wait_until(lambda: not registry.attempts, what="every attempt has been finished")
    backend = lock_backends["default"]
    return sum(one.has_jobs() for (of, _), one in background._workers.items() if of is backend)


ways = pytest.mark.parametrize("act", [in_thread, in_coroutine])


@ways
def test_a_request_that_was_never_sent_is_not_cancelled(
    settings: Any, guarded: Proxy, act: Callable[[], None]
) -> None:
    settings.LOCKS = {"default": {"LOCATION": guarded.url.replace("secret", "wrong")}}
    with pytest.raises(LockUnavailable) as caught:
        act()
    assert (caught.value.asked, caught.value.sent) == (True, False)
    assert jobs() == 0
    assert guarded.opened == 1
    lock_backends["default"].close()


@pytest.mark.parametrize("kind", ["thread", "task"])
async def test_a_request_that_may_have_arrived_is_cancelled(
    settings: Any, guarded: Proxy, kind: str
) -> None:
    """The request was sent on an open connection, and no other can be opened."""
    # Figures would be jobs, too, and the end of the lease would end the cancellation.
    entry = {"LOCATION": guarded.url, "LEASE": 3600, "OPTIONS": {"metrics": False}}
    settings.LOCKS = {"default": entry}
    warm, unsure = lock("warm"), lock("unsure")
    lost = guarded.drop_next_request(b"unsure")
    if kind == "task":
        async with warm:
            guarded.refuse()
        with pytest.raises(LockUnavailable) as caught:
            await unsure.aacquire(wait=0)
    else:
        with warm:
            guarded.refuse()
        with pytest.raises(LockUnavailable) as caught:
            unsure.acquire(wait=0)
    assert lost.fired
    assert caught.value.sent
    assert jobs() == 1
    guarded.accept()
    wait_until(lambda: jobs() == 0, what="it is cancelled")
    lock_backends["default"].close()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("act", [in_thread, in_coroutine])
@pytest.mark.parametrize(
    ("credentials", "words"),
    [("", "asks for a password: add it"), (":wrong@", "refuses the user or password")],
)
def test_the_error_of_a_refused_login_says_what_is_wrong(
    settings: Any,
    guarded: Proxy,
    act: Callable[[], None],
    protocol: int,
    credentials: str,
    words: str,
) -> None:
    location = guarded.url.replace(":secret@", credentials)
    settings.LOCKS = {"default": {"LOCATION": location, "OPTIONS": {"protocol": protocol}}}
    with pytest.raises(LockUnavailable, match=words):
        act()


@ways
def test_the_error_of_sentinels_that_refuse_the_login_says_so(
    settings: Any, refusing: Refusing, act: Callable[[], None]
) -> None:
    refusing.error = b"-NOAUTH Authentication required.\r\n"
    address = f"{HOST}:{refusing.server_address[1]}"
    settings.LOCKS = {"default": {"LOCATION": f"sentinel://{address}/main"}}
    # Some releases of redis-py drop the words of the Sentinel.
    refused = f"at the Sentinels {address} (asks for a password|refuses the user or password)"
    with pytest.raises(LockUnavailable, match=refused):
        act()
