"""Fixtures of the backends, and assertion details for the contract suite."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("django_redislock.testing.contract")

from django_redislock.backends.redis.wire.async_wire import AsyncWire  # noqa: E402
from tests.support.proxy import Proxy  # noqa: E402
from tests.support.refusing import Refusing, refusing_server  # noqa: E402
from tests.support.wires import wire_to  # noqa: E402


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def wire(request: pytest.FixtureRequest, proxy: Proxy) -> AsyncWire:
    return wire_to(proxy.url, protocol=request.param)


@pytest.fixture
def refusing() -> Iterator[Refusing]:
    """A server that answers each command with the error that it is given."""
    with refusing_server() as server:
        yield server
