"""Wait for the background clean-up after callers that were interrupted."""

from __future__ import annotations

from django_redislock.local.background import background
from django_redislock.local.registry import registry
from tests.support.processes import wait_until

__all__ = ["settle"]


def settle() -> None:
    """Wait until no attempt is under way and all due background work is done."""
    wait_until(lambda: not registry.attempts, what="every attempt has been finished")
    assert background.flush(30)
