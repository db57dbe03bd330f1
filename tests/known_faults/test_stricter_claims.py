"""Claims with a token that already holds, which are granted only if there is room for them."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import LockError, lock
from tests.known_faults.witness import give_up

SHARED: dict[str, Any] = {"shared": True}


@pytest.mark.parametrize("using", ["default", "memory"])
@pytest.mark.parametrize(
    ("held", "claimed"),
    [(SHARED, {}), (SHARED, {"limit": 2}), ({"limit": 3}, {}), ({"limit": 3}, {"limit": 2})],
    ids=["shared-1", "shared-2", "3-1", "3-2"],
)
def test_a_stricter_claim_is_no_retry(
    using: str, held: dict[str, Any], claimed: dict[str, Any]
) -> None:
    """Three hold, and one of them claims the name again with a lower limit."""
    holders = [lock("a", using=using, **held) for _ in range(3)]
    assert [one.acquire(wait=0) for one in holders] == [True] * 3
    mine = lock("a", using=using, token=holders[0].token, **claimed)
    try:
        got = mine.acquire(wait=0)
    except LockError:
        got = False
    for one in (mine, *holders):
        give_up(one)
    assert not got


@pytest.mark.parametrize("using", ["default", "memory"])
def test_the_same_claim_is_a_retry(using: str) -> None:
    held = lock("a", using=using, limit=3)
    assert held.acquire(wait=0)
    mine = lock("a", using=using, token=held.detach(), limit=3)
    assert mine.acquire(wait=0)
    mine.release()
