"""Connections that are closed inside a transaction, which rolls it back."""

from __future__ import annotations

import pytest
from django.db import connections, transaction

from django_redislock import lock
from tests.rows.databases import ON_SERVERS
from tests.support.another_thread import is_free


@ON_SERVERS
@pytest.mark.parametrize("when", ["before the acquire", "before the release", "after the release"])
def test_a_lock_is_free_when_its_block_is_left(database: str, when: str) -> None:
    """Django neither calls nor drops callbacks that come after ``close()`` until it reconnects."""
    own = connections[database]
    with transaction.atomic(database):
        if when == "before the acquire":
            own.close()
        with lock("row", lease=600):
            if when == "before the release":
                own.close()
        if when == "after the release":
            own.close()
        assert is_free("row")
    assert is_free("row")
