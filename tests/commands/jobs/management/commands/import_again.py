"""The same command by another name."""

from __future__ import annotations

from .import_feed import Command

__all__ = ["Command"]
