"""What happened on the way to a server is said in words that help."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.errors import unavailable


def in_thread() -> None:
    lock("a").acquire()


def in_coroutine() -> None:
    asyncio.run(lock("a").aacquire())


def listed() -> None:
    lock_backends["default"].list()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name server is asked for `nowhere.invalid`, whose answer may take its time."""
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
        ("sentinel://127.0.0.1:1/main", "does not answer at the Sentinels 127.0.0.1:1; is it run"),
    ],
)
def test_a_server_that_does_not_answer(
    settings: Any, act: Callable[[], None], location: str, words: str
) -> None:
    settings.LOCKS = {"default": {"LOCATION": location}}
    with pytest.raises(LockUnavailable) as caught:
        act()
    text = str(caught.value)
    assert words in text
    assert text.count("LOCKS['default']") == 1
    assert "Error " not in text


def test_one_that_answers_and_refuses(settings: Any, redis_url: str) -> None:
    settings.LOCKS = {"default": {"LOCATION": redis_url.removesuffix("/0") + "/9999"}}
    with pytest.raises(LockUnavailable, match="did not do what it was asked: ") as caught:
        in_thread()
    assert "running" not in str(caught.value)


def test_a_certificate_that_is_not_trusted() -> None:
    text = "Error 1 connecting to a:1. [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed."
    error = unavailable("LOCKS['default']", "a:1", "", RedisConnectionError(text))
    assert "cannot be connected to at a:1: [SSL: CERTIFICATE_VERIFY_FAILED]" in str(error)
