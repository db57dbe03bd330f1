"""Code of a project that runs while a connection opens: credential providers and functions.

Their errors say nothing about the server. Unchanged, an ``OSError`` would seem to come from its
socket, and others would not be errors of locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from redis.credentials import CredentialProvider
from redis.exceptions import RedisError

from ..errors import NotAsked

__all__ = ["with_hooks"]

# How long (seconds) a provider for coroutines may take. While it is asked, no task of its event
# loop has a connection.
PROVIDER_WITHIN = 30.0


class _Provider(CredentialProvider):
    """A provider that runs in a thread if it would otherwise block the event loop."""

    def __init__(self, provider: CredentialProvider) -> None:
        self._provider = provider
        ordinary = CredentialProvider.get_credentials_async
        own = getattr(type(provider), "get_credentials_async", ordinary)
        self._blocks = own is ordinary

    def get_credentials(self) -> Any:
        with _reported("credential_provider"):
            return self._provider.get_credentials()

    async def get_credentials_async(self) -> Any:
        if self._blocks:
            return await asyncio.to_thread(self.get_credentials)
        with _reported("credential_provider"):
            asked = asyncio.ensure_future(self._provider.get_credentials_async())
            try:
                await asyncio.wait([asked], timeout=PROVIDER_WITHIN)
            finally:
                is_late = asked.cancel()
            if not is_late:
                return asked.result()
        raise NotAsked(f"its credential_provider gave no answer within {PROVIDER_WITHIN:g} s")


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
