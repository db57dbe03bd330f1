"""Places where the processes of a test keep their locks: a server and a key prefix."""

from __future__ import annotations

import dataclasses
import secrets
from typing import Any

from django.test import override_settings
from redis import Redis

REDIS = "django_redislock.backends.redis.RedisLockBackend"
MEMORY = "django_redislock.backends.memory.MemoryLockBackend"


@dataclasses.dataclass(frozen=True)
class Place:
    """A server and a key prefix, which can be passed to a worker process.

    `entry` has further options of `LOCKS["default"]`, and `cache` of `CACHES["default"]`.
    """

    url: str
    prefix: str = dataclasses.field(default_factory=lambda: f"test-{secrets.token_hex(6)}")
    entry: dict[str, Any] = dataclasses.field(default_factory=dict)
    cache: dict[str, Any] = dataclasses.field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """The settings CACHES and LOCKS."""
        # django-redis keeps one pool per URL, so other options need another URL.
        url = f"{self.url}?client_name={self.prefix}" if self.cache else self.url
        cache = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, **self.cache}
        if not (url or self.cache):  # the entry alone says where the locks are
            cache = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        entry = {"BACKEND": REDIS, "KEY_PREFIX": self.prefix, **self.entry}
        return {"CACHES": {"default": cache}, "LOCKS": {"default": entry}}

    def use(self) -> None:
        """Make this process keep its locks here until it ends."""
        override_settings(**self.settings()).enable()

    def pool(self, **kwargs: Any) -> Place:
        """The same place through a connection pool with these arguments."""
        options = {"CONNECTION_POOL_KWARGS": kwargs}
        if "timeout" in kwargs:
            options["CONNECTION_POOL_CLASS"] = "redis.connection.BlockingConnectionPool"
        return dataclasses.replace(self, cache={"OPTIONS": options})

    def client(self) -> Redis:
        """A client of the server, for inspecting its data."""
        return Redis.from_url(self.url)
