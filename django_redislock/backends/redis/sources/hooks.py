"""Code and values of a project's settings that take effect when a connection opens.

Their errors say nothing about the server. Unchanged, an ``OSError`` would seem to come from its
socket, and others would not be errors of locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError, RedisError

from ..errors import NotAsked

__all__ = ["opening", "with_hooks"]


class _Provider(CredentialProvider):
    def __init__(self, provider: CredentialProvider) -> None:
        self._provider = provider

    def get_credentials(self) -> Any:
        with _reported("credential_provider"):
            return self._provider.get_credentials()


def _function(function: Callable[[Any], Any]) -> Callable[[Any], None]:
    def run(connection: Any) -> None:
        with _reported("redis_connect_func", RedisError):  # which is the server's
            function(connection)

    return run


@contextmanager
def _reported(option: str, *passed: type[Exception]) -> Iterator[None]:
    """Turn all errors but these into ``NotAsked``."""
    try:
        yield
    except passed:
        raise
    except Exception as error:
        raise NotAsked(f"its {option} raised {type(error).__name__}: {error}") from error


@contextmanager
def opening() -> Iterator[None]:
    """Turn what redis-py raises for values that it cannot connect with into ``RedisError``."""
    try:
        yield
    except UnicodeError as error:
        # No host can have this name.
        raise RedisConnectionError(error) from error
    except (TypeError, ValueError, LookupError) as error:
        raise NotAsked(
            f"a value in the settings of its connection is not valid: {type(error).__name__}: "
            f"{error}"
        ) from error


_HOOKS: dict[str, Callable[[Any], Any]] = {
    "credential_provider": _Provider,
    "redis_connect_func": _function,
}


def with_hooks(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a connection, with our own functions around the project's."""
    return {
        name: _HOOKS[name](value) if name in _HOOKS and value is not None else value
        for name, value in settings.items()
    }
