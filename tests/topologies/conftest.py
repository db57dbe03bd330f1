"""Fixtures of these tests."""

from tests.support.fixtures import place, use, workers

__all__ = ["place", "use", "workers"]
