"""A server for each test that does to it what others must not see, and a witness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.known_faults.witness import Witness, put
from tests.support.places import Place

if TYPE_CHECKING:
    from tests.support.proxy import Proxy


@pytest.fixture
def witness(place: Place, settings: Any) -> Witness:
    """Sees what the test does to the locks of `default`, over connections of its own."""
    put(settings, Witness.settings(place))
    return Witness().teach()


@pytest.fixture
def through_proxy(place: Place, proxy: Proxy, witness: Witness, settings: Any) -> Proxy:
    """`default` reaches the server through a proxy, the witness does not."""
    put(settings, Witness.settings(place, Place(proxy.url, place.prefix)))
    return proxy
