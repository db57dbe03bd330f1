"""Databases on which rows are tested."""

from __future__ import annotations

import pytest

SERVERS = [
    pytest.param(
        database,
        marks=[
            getattr(pytest.mark, database),
            pytest.mark.django_db(transaction=True, databases=["default", database]),
        ],
    )
    for database in ("postgresql", "mariadb")
]

ON_EACH = pytest.mark.parametrize(
    "database",
    [pytest.param("default", marks=pytest.mark.django_db(transaction=True)), *SERVERS],
)
# Databases that lock single rows.
ON_SERVERS = pytest.mark.parametrize("database", SERVERS)
