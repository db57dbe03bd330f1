"""Settings of the example with a mistake: each server process has its own locks."""

from __future__ import annotations

from example_project.settings import *  # noqa: F403 (a variant of them)

LOCKS = {"default": {"BACKEND": "django_redislock.backends.memory.MemoryLockBackend"}}
