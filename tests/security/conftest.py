"""Servers of their own for what happens when one is away."""

from __future__ import annotations

from tests.support.fixtures import own_server, use

__all__ = ["own_server", "use"]
