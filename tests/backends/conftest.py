"""Servers and prefixes of a test's own; and the contract's asserts say what they have found."""

import pytest

pytest.register_assert_rewrite("django_redislock.testing.contract")

from django_redislock.backends.redis.wire.async_wire import AsyncWire  # noqa: E402
from tests.support.fixtures import (  # noqa: E402 - the asserts are rewritten first
    certificates,
    own_server,
    place,
    proxy,
    tls_options,
    use,
    workers,
)
from tests.support.proxy import Proxy  # noqa: E402
from tests.support.wires import wire_to  # noqa: E402

__all__ = [
    "certificates",
    "own_server",
    "place",
    "proxy",
    "tls_options",
    "use",
    "wire",
    "workers",
]


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def wire(request: pytest.FixtureRequest, proxy: Proxy) -> AsyncWire:
    return wire_to(proxy.url, protocol=request.param)
