"""Fixtures of these tests."""

from __future__ import annotations

from tests.support.fixtures import alias

__all__ = ["alias"]
