"""Errors of connections and servers, and what they mean for a request."""

from __future__ import annotations

import copy
import re

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError as RedisConnectionError,
    ReadOnlyError,
    RedisError,
    TimeoutError as RedisTimeoutError,
)

__all__ = [
    "NoAnswer",
    "NotAcknowledged",
    "NotAsked",
    "ServerAway",
    "as_redis_error",
    "copy_of",
    "is_absence",
    "is_busy",
    "is_of_tls",
    "is_worth_a_retry",
    "marked",
    "of_node",
    "was_sent",
]

# What redis-py's messages call a server or a service. Words in these names mean nothing.
_NAMES = re.compile(
    r"(?:connecting to|while reading from) \S+?(?=[.:]? |\.$)"
    r"|No master found for '.*?'|<redis\..*?> - "
)


class ServerAway(RedisConnectionError):
    """Nothing was sent, because the server has not been answering. ``cause`` is its last error."""

    sent = False

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.__cause__ = cause


class NotAsked(RedisError):
    """Nothing was sent, for a reason in this process, which says nothing about the server."""

    sent = False


class NoAnswer(RedisTimeoutError):
    """A server with an open connection has not answered in time."""

    def __init__(self, text: str = "The server did not answer in time.") -> None:
        super().__init__(text)


class NotAcknowledged(RedisError):
    """Too few replicas have acknowledged a grant in time."""

    def __init__(self, number: int, wanted: int) -> None:
        super().__init__(
            f"{number} of {wanted} replicas acknowledged it in time (OPTIONS['replicas']), so it "
            "was given back."
        )


def is_absence(error: Exception) -> bool:
    """Whether the server did not answer. A refusal, e.g. of credentials, is an answer."""
    if isinstance(error, (AuthenticationError, AuthorizationError, ServerAway)) or is_busy(error):
        return False
    return isinstance(error, (RedisConnectionError, RedisTimeoutError)) and not is_of_tls(error)


def is_worth_a_retry(error: Exception) -> bool:
    """Whether a new connection may answer: the old one was cut, or its server is a replica now.

    A time-out is not: the server is slow, and another attempt would only double the delay.
    """
    return isinstance(error, (RedisConnectionError, ReadOnlyError))


def as_redis_error(error: OSError) -> RedisError:
    """Return the error that redis-py would raise for this error of a socket."""
    if isinstance(error, TimeoutError):
        return NoAnswer()
    return RedisConnectionError(f"The connection was cut: {error}")


def of_node(error: RedisError, at: str) -> RedisError:
    """Return the same error, marked with the address of the node that it came from."""
    vars(error)["at"] = at
    return error


def was_sent(error: Exception) -> bool:
    """Whether the commands that failed may have taken effect."""
    return bool(getattr(error, "sent", True))


def marked(error: RedisError, *, sent: bool) -> RedisError:
    """Return the same error, marked with whether the commands may have taken effect."""
    vars(error)["sent"] = sent
    return error


def is_busy(error: Exception) -> bool:
    """Whether a server refuses all commands: it loads its data, runs a script, or is full."""
    busy = ("BUSY ", "max number of clients reached")
    return isinstance(error, BusyLoadingError) or str(error).startswith(busy)


def is_of_tls(error: Exception) -> bool:
    """Whether TLS failed, so that a server may be there."""
    said = _NAMES.sub("", str(error))
    return "SSL" in said or "certificate" in said


def copy_of(error: Exception) -> Exception:
    """Copy an error for another caller. A shared object would collect all their tracebacks."""
    try:
        twin = copy.copy(error)
    except Exception:  # noqa: BLE001 - its class may not accept its args, and then raise anything
        return error
    twin.__cause__ = error.__cause__
    return twin
