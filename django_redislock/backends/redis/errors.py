"""What becomes of errors on the way to a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    ConnectionError as RedisConnectionError,
    ReadOnlyError,
    RedisError,
    TimeoutError as RedisTimeoutError,
)

from ...exceptions import LockUnavailable, readable

__all__ = ["as_redis_error", "is_worth_a_retry", "naming", "unavailable"]


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


def unavailable(where: str, name: str, error: Exception) -> LockUnavailable:
    """The error that says what became of a command for a name, or for the list of them all."""
    what = f"The lock {readable(name)!r}" if name else "The list of locks"
    # Of a Sentinel that does not answer, redis-py shows the whole client.
    said = str(error).partition(" : <")[0]
    return LockUnavailable(
        f"{what} cannot be had: Redis ({where}) did not do what it was asked: {said}",
        name=name,
    )


@contextmanager
def naming(where: str, name: str) -> Iterator[None]:
    """Raise what goes wrong inside as the error of a command for this name."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise unavailable(where, name, error) from error
