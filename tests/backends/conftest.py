"""Servers and prefixes of a test's own; and the contract's asserts say what they have found."""

import shutil
from typing import Any

import pytest

pytest.register_assert_rewrite("django_redislock.testing.contract")

from django_redislock.backends.redis.wire.async_wire import AsyncWire  # noqa: E402
from tests.support.fixtures import own_server, place, proxy, use, workers  # noqa: E402
from tests.support.proxy import Proxy  # noqa: E402
from tests.support.tls import Certificates  # noqa: E402
from tests.support.wires import wire_to  # noqa: E402

__all__ = ["own_server", "place", "proxy", "use", "wire", "workers"]


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def wire(request: pytest.FixtureRequest, proxy: Proxy) -> AsyncWire:
    return wire_to(proxy.url, protocol=request.param)


@pytest.fixture(scope="package")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls_options(certificates: Certificates) -> dict[str, Any]:
    certificate, key = certificates.client
    return {
        "ssl_ca_certs": certificates.authority,
        "ssl_certfile": certificate,
        "ssl_keyfile": key,
    }
