"""Errors on the way to a server."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError as RedisConnectionError,
    MovedError,
    ReadOnlyError,
    RedisError,
    TimeoutError as RedisTimeoutError,
    TryAgainError,
)

from ...exceptions import LockError, LockUnavailable, readable
from ...process import NoThread

__all__ = [
    "NotAcknowledged",
    "ServerAway",
    "as_redis_error",
    "copy_of",
    "happened",
    "is_absence",
    "is_worth_a_retry",
    "naming",
    "of_node",
    "unavailable",
]

# How redis-py says that it could not connect.
_NOT_CONNECTED = re.compile(r"Error (-?\d+) connecting to .*?\. (.*)", re.DOTALL)


class ServerAway(RedisConnectionError):
    """The server has not answered before, so nothing was sent to it. ``cause`` is what it met."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.__cause__ = cause


class NotAcknowledged(RedisError):
    """Too few replicas have acknowledged a grant in time."""

    def __init__(self, number: int, wanted: int) -> None:
        super().__init__(
            f"{number} of {wanted} replicas acknowledged it in time (OPTIONS['replicas']), so it "
            "was given back."
        )


def is_absence(error: Exception) -> bool:
    """Whether the server did not answer. One that refuses credentials or certificates, say, has."""
    if isinstance(error, (AuthenticationError, AuthorizationError, BusyLoadingError, ServerAway)):
        return False
    return isinstance(error, (RedisConnectionError, RedisTimeoutError)) and not _is_of_tls(error)


def is_worth_a_retry(error: Exception) -> bool:
    """Whether a new connection may answer: the old one was cut, or its server is a replica now.

    A time-out is not: the server is slow, and another attempt would only double the delay.
    """
    return isinstance(error, (RedisConnectionError, ReadOnlyError))


def as_redis_error(error: OSError) -> RedisError:
    """What redis-py makes of the errors of a socket."""
    if isinstance(error, TimeoutError):
        return RedisTimeoutError("The server did not answer in time.")
    return RedisConnectionError(f"The connection was cut: {error}")


def of_node(error: RedisError, at: str) -> RedisError:
    """The error, which says from now on that it is of the node at this address."""
    vars(error)["at"] = at
    return error


def unavailable(where: str, at: str, name: str, error: Exception) -> LockUnavailable:
    """The error that says what became of a command for a name, or for the list of them all.

    ``where`` names the entry of the settings, ``at`` the address of the server.
    """
    what = f"The lock {readable(name)!r}" if name else "The list of locks"
    why = (
        str(error)
        if isinstance(error, NotAcknowledged)
        else f"Redis ({where}) {happened(at, error)}"
    )
    return LockUnavailable(
        f"{what} cannot be had: {why}",
        name=name,
        asked=not isinstance(error, ServerAway),
    )


def happened(at: str, error: Exception) -> str:
    """What a server at this address did, as the end of a sentence that begins with it."""
    at = vars(error).get("at", at)
    # Of a Sentinel that does not answer, redis-py shows the whole client.
    said = str(error).partition(" : <")[0]
    if isinstance(error, MovedError):
        return (
            f"at {at} is a node of a Cluster, where other nodes have other locks. Name some of "
            "them in LOCATION: cluster://host:6379,host:6379"
        )
    if isinstance(error, TryAgainError):
        return f"is moving these locks from one node to another, and has not finished: {said}"
    if isinstance(error, AuthenticationError) or not isinstance(
        error, (RedisConnectionError, RedisTimeoutError)
    ):
        return f"did not do what it was asked: {said}"
    if failed := _NOT_CONNECTED.match(said):
        number, said = failed[1], failed[2].removesuffix(".")
        if number.startswith("-"):
            return f"cannot be found at {at}: {said}"
        if said.startswith("Connect call failed"):
            said = os.strerror(int(number))
    if _is_of_tls(error):
        return f"cannot be connected to at {at}: {said}"
    return f"does not answer at {at}; is it running? {said}"


def _is_of_tls(error: Exception) -> bool:
    said = str(error)
    return "SSL" in said or "certificate" in said


def copy_of(error: Exception) -> Exception:
    """The same error for another caller: one object for all would collect their tracebacks."""
    try:
        twin = copy.copy(error)
    except TypeError:  # its class cannot be made of its arguments
        return error
    twin.__cause__ = error.__cause__
    return twin


@contextmanager
def naming(where: str, at: str, name: str) -> Iterator[None]:
    """Raise what goes wrong inside as the error of a command for this name."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise unavailable(where, at, name, error) from error
    except NoThread as error:
        raise LockError.of(
            name, f"cannot be waited for: the thread that hears of its turn cannot start ({error})"
        ) from error
