"""A prefix of a test's own."""

from tests.support.fixtures import place, use

__all__ = ["place", "use"]
