"""A place of their own on the suite's server, for tests that look behind the scenes."""

from __future__ import annotations

from tests.support.fixtures import place, use

__all__ = ["place", "use"]
