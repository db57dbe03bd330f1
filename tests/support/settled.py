"""The moment at which this process has put right what its callers left half done."""

from __future__ import annotations

from django_redislock.local.background import background
from django_redislock.local.registry import registry
from tests.support.processes import wait_until

__all__ = ["settle"]


def settle() -> None:
    """Wait until no attempt is under way, and until what is due in the background is done."""
    wait_until(lambda: not registry.attempts, what="every attempt has been finished")
    assert background.flush(30)
