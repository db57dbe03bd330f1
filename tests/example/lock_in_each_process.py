"""The example's settings with a mistake: each server process has locks of its own."""

from __future__ import annotations

from example_project.settings import *  # noqa: F403 (a variant of them)

LOCKS = {"default": {"BACKEND": "django_redislock.backends.memory.MemoryLockBackend"}}
