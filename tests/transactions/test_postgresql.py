"""Updates in PostgreSQL, each of which must see the commit of the previous holder.

The naive guard, a lock that is released inside the transaction, is run beside ours: it loses
updates, because the next one reads before the first has committed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connections, transaction
from redis import Redis

from django_redislock import lock

WRITERS = 4

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True, databases=["default", "postgresql"]),
]


def increments(guard: Callable[[], AbstractContextManager[object]], rounds: int) -> int:
    """Count in one row, from several connections at once; return how many counts were lost."""
    Group.objects.using("postgresql").all().delete()
    row = Group.objects.using("postgresql").create(name="0")
    failures: list[BaseException] = []

    def count() -> None:
        try:
            for _ in range(rounds):
                with transaction.atomic("postgresql"):
                    with guard():
                        mine = Group.objects.using("postgresql").get(pk=row.pk)
                        mine.name = str(int(mine.name) + 1)
                        mine.save()
                    # The rest of the transaction after the guarded part: here, one more round trip.
                    Group.objects.using("postgresql").count()
        except BaseException as error:  # noqa: BLE001 - it fails the test below
            failures.append(error)
        finally:
            connections["postgresql"].close()

    threads = [threading.Thread(target=count) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    row.refresh_from_db(using="postgresql")
    return WRITERS * rounds - int(row.name)


@pytest.mark.parametrize("rounds", [40, pytest.param(500, marks=pytest.mark.long)])
def test_no_read_is_stale(rounds: int) -> None:
    assert increments(lambda: lock("row", wait=50), rounds) == 0


def test_the_naive_guard_loses_updates() -> None:
    with Redis.from_url(settings.REDIS_URL) as client:

        def guard() -> Any:
            return client.lock("naive", timeout=50, sleep=0.001)

        assert any(increments(guard, 50) for _ in range(5))
