"""Faster flush of the test databases.

After each test with its own transactions, Django empties all tables and then recreates content
types and permissions, which takes six times as long. Here they are kept: no test changes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management.commands import flush

KEPT = {"django_content_type", "auth_permission"}


def sql_flush(style: Any, connection: Any, **options: bool) -> list[str]:
    """Return the statements that empty all other tables."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    emptied: list[str] = connection.ops.sql_flush(style, sorted({*tables} - KEPT), **options)
    return emptied


@pytest.fixture(scope="session", autouse=True)
def _content_types_and_permissions_stay() -> Iterator[None]:
    with patch.multiple(flush, sql_flush=sql_flush, emit_post_migrate_signal=lambda *_: None):
        yield
