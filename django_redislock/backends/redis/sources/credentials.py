"""Use of redis-py's credential providers by coroutines."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.credentials import CredentialProvider

__all__ = ["for_coroutines"]


def for_coroutines(provider: CredentialProvider | None) -> CredentialProvider | None:
    """Return a provider that runs in a thread if it would otherwise block the event loop."""
    if provider is None:
        return None
    ordinary = CredentialProvider.get_credentials_async
    if getattr(type(provider), "get_credentials_async", ordinary) is not ordinary:
        return provider
    return _InThread(provider)


class _InThread(CredentialProvider):
    def __init__(self, provider: CredentialProvider) -> None:
        self._provider = provider

    def get_credentials(self) -> Any:
        return self._provider.get_credentials()

    async def get_credentials_async(self) -> Any:
        return await asyncio.to_thread(self._provider.get_credentials)
