"""Words of TLS in errors, which matter behind the address but not within it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from django_redislock import LockUnavailable, lock
from django_redislock.backends.redis.error_texts import unavailable
from django_redislock.backends.redis.errors import is_absence


@pytest.mark.parametrize(
    "text",
    [
        "Error 111 connecting to certificates-db:6379. Connection refused.",
        "Error 111 connecting to SSL.example.com:6379. Connection refused.",
        "Error while reading from certificates-db:6379 : (104, 'Connection reset by peer')",
        "Error while reading from certificates-db:6379: (104, 'Connection reset by peer')",
        "Error 2 connecting to /run/certificates.sock. No such file or directory.",
        "Error connecting to certificates-db:6379.",
        "No master found for 'certificates' : <redis.client.Redis(<redis.connection.ConnectionPool("
        "<redis.connection.SSLConnection(host=a,config=Config(enabled=auto, no=1))>)>)> - "
        "ConnectionError('Connection refused')",
    ],
)
def test_a_host_named_like_a_word_of_tls_is_no_tls_error(text: str) -> None:
    error = RedisConnectionError(text)
    assert is_absence(error)
    assert "cannot be connected to" not in str(unavailable("here", "there", "", error))


@pytest.mark.parametrize(
    "text",
    [
        "Error 1 connecting to certificates-db:1. [SSL: CERTIFICATE_VERIFY_FAILED] it failed.",
        "Error while reading from a:1 : (1, '[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] required')",
        "Error 1 connecting to a:1. Hostname mismatch, certificate is not valid for 'a'.",
    ],
)
def test_a_word_of_tls_behind_the_address_is_a_tls_error(text: str) -> None:
    assert not is_absence(RedisConnectionError(text))


def test_the_error_of_a_missing_file_does_not_suggest_to_start_the_server(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        location = f"rediss://127.0.0.1:{listener.getsockname()[1]}/0"
        options = {"ssl_ca_certs": "/nowhere/ca.pem"}
        settings.LOCKS = {"default": {"LOCATION": location, "OPTIONS": options}}
        with pytest.raises(LockUnavailable) as caught:
            lock("a").acquire(wait=0)
    assert "a file that the settings name, such as ssl_ca_certs, cannot be read: No such" in str(
        caught.value
    )
    assert "is it running" not in str(caught.value)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that waits for the end of the line, as Redis does without TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_cluster_without_tls_is_told_apart_from_one_that_is_down(
    settings: Any, silent: str
) -> None:
    options = {"ssl": True, "socket_timeout": 0.3}
    settings.LOCKS = {"default": {"LOCATION": f"cluster://{silent}", "OPTIONS": options}}
    with pytest.raises(LockUnavailable, match='by TLS.*write redis://, or omit "ssl"'):
        lock("a").acquire(wait=0)


def test_the_server_of_a_cache_without_tls_is_told_apart_from_one_that_is_down(
    settings: Any, silent: str
) -> None:
    options = {"SOCKET_CONNECT_TIMEOUT": 0.3, "SOCKET_TIMEOUT": 0.3}
    backend = "django_redis.cache.RedisCache"
    cache = {"BACKEND": backend, "LOCATION": f"rediss://{silent}/0", "OPTIONS": options}
    settings.CACHES = {"default": cache}
    settings.LOCKS = {}
    with pytest.raises(LockUnavailable, match="cache 'default' by TLS.*write redis://"):
        lock("a").acquire(wait=0)


def test_a_server_that_ends_the_handshake_may_not_speak_tls() -> None:
    """PostgreSQL does, among others."""
    text = "Error 8 connecting to a:1. [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred."
    error = unavailable("LOCKS['default'], rediss://a:1/0", "a:1", "", RedisConnectionError(text))
    assert "EOF occurred. rediss:// and" in str(error)
