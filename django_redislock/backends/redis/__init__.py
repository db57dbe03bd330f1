"""Locks in Redis or Valkey."""

from .backend import RedisLockBackend

__all__ = ["RedisLockBackend"]
