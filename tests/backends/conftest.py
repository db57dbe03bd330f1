"""Servers and prefixes of a test's own; and the contract's asserts say what they have found."""

import pytest

pytest.register_assert_rewrite("django_redislock.testing.contract")

from tests.support.fixtures import own_server, place, proxy, use, workers  # noqa: E402

__all__ = ["own_server", "place", "proxy", "use", "workers"]
