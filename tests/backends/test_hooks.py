"""Errors of a project's own code that runs while a connection opens are no fault of the server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from redis.connection import AbstractConnection
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.errors import copy_of, is_absence
from django_redislock.backends.redis.wire import shared
from django_redislock.checks import check_backends
from django_redislock.testing.servers import EmbeddedServer
from tests.support.wires import SOON


class Peculiar(Exception):
    """It cannot be copied: a copy is made of its text, which has no text."""

    def __init__(self, response: Any) -> None:
        super().__init__(response.text)

    text = "no token"


ERRORS: list[Callable[[], Exception]] = [
    lambda: LookupError("no token"),
    lambda: Peculiar(Peculiar),
    # Without care, these count as errors of the server's socket.
    lambda: FileNotFoundError("no token"),
    lambda: TimeoutError("no token"),
]


class Hooks:
    """Each fails, and counts how often it is called."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def fail(self, *args: Any) -> Any:
        self.calls += 1
        raise self.error

    def provider(self) -> CredentialProvider:
        return type("Provider", (CredentialProvider,), {"get_credentials": self.fail})()

    def function(self) -> Callable[[AbstractConnection], Any]:
        return self.fail


HOOKS = [
    ("credential_provider", Hooks.provider),
    ("redis_connect_func", Hooks.function),
]
CASES = [
    *((*hook, raises) for hook in HOOKS for raises in ERRORS),
    # A provider may use another server of Redis.
    (*HOOKS[0], lambda: RedisConnectionError("no token")),
]


def in_thread() -> None:
    lock("a").acquire()


def in_coroutine() -> None:
    asyncio.run(lock("a").aacquire())


@pytest.mark.parametrize("scheme", ["redis", "cluster"])
@pytest.mark.parametrize("act", [in_thread, in_coroutine])
@pytest.mark.parametrize(("option", "make", "raises"), CASES)
def test_the_error_names_what_has_failed(
    settings: Any,
    redis_url: str,
    option: str,
    make: Callable[[Hooks], Any],
    raises: Callable[[], Exception],
    act: Callable[[], None],
    scheme: str,
) -> None:
    hooks = Hooks(error := raises())
    location = redis_url.removesuffix("/0").replace("redis", scheme)
    settings.LOCKS = {"default": {"LOCATION": location, "OPTIONS": {option: make(hooks)}}}
    with pytest.raises(LockUnavailable) as caught:
        act()
    words = f"was not asked: its {option} raised {type(error).__name__}: no token."
    # Whole sentences, since others may follow in a log.
    assert str(caught.value).endswith(words)
    cause = caught.value.__cause__
    assert cause is not None
    assert not is_absence(cause)
    assert cause.__cause__ is error
    assert (caught.value.asked, caught.value.sent) == (True, False)
    assert hooks.calls == 1
    backend = lock_backends["default"]
    assert isinstance(backend, RedisLockBackend)
    assert not backend.source.breaker.failures
    backend.close()


@pytest.mark.parametrize("act", [in_thread, in_coroutine])
@pytest.mark.parametrize("raises", [lambda: LookupError("no token"), TimeoutError])
def test_so_does_that_of_a_sentinel(
    settings: Any, redis_url: str, act: Callable[[], None], raises: Callable[[], Exception]
) -> None:
    hooks = Hooks(raises())
    options = {"sentinel_kwargs": {"credential_provider": hooks.provider()}}
    location = redis_url.replace("redis", "sentinel").removesuffix("/0") + "/main"
    settings.LOCKS = {"default": {"LOCATION": location, "OPTIONS": options}}
    with pytest.raises(LockUnavailable, match="was not asked: its credential_provider raised"):
        act()
    assert hooks.calls == 1
    lock_backends["default"].close()


def test_the_check_of_a_server_says_so_too(settings: Any, redis_url: str) -> None:
    options = {"credential_provider": Hooks(LookupError("no token")).provider()}
    settings.LOCKS = {"default": {"LOCATION": redis_url, "OPTIONS": options}}
    (message,) = check_backends(deploy=True)
    assert "was not asked: its credential_provider raised LookupError: no token" in message.msg


# As environment variables bring them.
VALUES = [{"socket_type": "1"}, {"encoding": "nope"}]


@pytest.mark.parametrize("act", [in_thread, in_coroutine])
@pytest.mark.parametrize("options", VALUES, ids=str)
def test_the_error_of_a_value_that_redis_py_cannot_connect_with(
    settings: Any, redis_url: str, options: dict[str, Any], act: Callable[[], None]
) -> None:
    settings.LOCKS = {"default": {"LOCATION": redis_url, "OPTIONS": options}}
    words = "was not asked: a value in the settings of its connection is not valid: "
    with pytest.raises(LockUnavailable, match=words):
        act()
    (message,) = check_backends(deploy=True)
    assert words in message.msg
    assert message.hint == "Correct LOCKS['default']['LOCATION'] and ['OPTIONS']."
    lock_backends["default"].close()


async def test_a_provider_does_not_block_the_event_loop(settings: Any, redis_url: str) -> None:
    asked = asyncio.Event()
    goes_on, loop = threading.Event(), asyncio.get_running_loop()

    class Provider(CredentialProvider):
        def get_credentials(self) -> tuple[str, str]:
            loop.call_soon_threadsafe(asked.set)
            assert goes_on.wait(SOON)
            return "default", ""

    options = {"credential_provider": Provider(), "metrics": False}
    settings.LOCKS = {"default": {"LOCATION": redis_url, "OPTIONS": options}}
    held = lock("a")
    acquiring = asyncio.create_task(held.aacquire(wait=0))
    await asyncio.wait_for(asked.wait(), SOON)
    goes_on.set()
    assert await acquiring
    await held.arelease()
    lock_backends["default"].close()


@pytest.mark.parametrize("hanging", [1, 2], ids=["the first request", "its probe too"])
async def test_a_provider_that_never_returns_ends_no_later_attempt(
    settings: Any, own_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, hanging: int
) -> None:
    monkeypatch.setattr(shared, "LOST_AFTER", 0.0)
    calls, goes_on = list[int](), threading.Event()

    class Provider(CredentialProvider):
        def get_credentials(self) -> tuple[str, str]:
            calls.append(1)
            if len(calls) <= hanging:
                goes_on.wait()
            return "default", ""

    options = {"credential_provider": Provider(), "metrics": False, "socket_timeout": 0.5}
    settings.LOCKS = {"default": {"LOCATION": own_server.url, "OPTIONS": options}}
    held, until = lock("a"), time.monotonic() + SOON
    with pytest.raises(LockUnavailable, match="does it hang"):
        await held.aacquire(wait=0)
    while not held.held and time.monotonic() < until:
        with suppress(LockUnavailable):
            await held.aacquire(wait=0)
        await asyncio.sleep(0.01)
    try:
        await held.arelease()
    finally:
        goes_on.set()
        lock_backends["default"].close()


async def test_what_the_server_refuses_in_a_function_is_its_own_error(
    settings: Any, redis_url: str
) -> None:
    def log_in(connection: AbstractConnection) -> None:
        connection.on_connect()
        connection.send_command("AUTH", "nobody", "secret")
        connection.read_response()

    settings.LOCKS = {"default": {"LOCATION": redis_url, "OPTIONS": {"redis_connect_func": log_in}}}
    for act in (in_thread, in_coroutine):
        with pytest.raises(LockUnavailable, match="refuses the user or password"):
            await asyncio.to_thread(act)


def test_an_error_that_cannot_be_copied_is_shared() -> None:
    error = Peculiar(Peculiar)
    assert copy_of(error) is error
