"""Fixtures of the backends, and assertion details for the contract suite."""

import pytest

pytest.register_assert_rewrite("django_redislock.testing.contract")

from django_redislock.backends.redis.wire.async_wire import AsyncWire  # noqa: E402
from tests.support.proxy import Proxy  # noqa: E402
from tests.support.wires import wire_to  # noqa: E402


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def wire(request: pytest.FixtureRequest, proxy: Proxy) -> AsyncWire:
    return wire_to(proxy.url, protocol=request.param)
