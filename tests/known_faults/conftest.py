"""Fixtures of these tests: a witness, and a proxy that it does not use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.known_faults.witness import Witness, put
from tests.support.places import Place

if TYPE_CHECKING:
    from tests.support.proxy import Proxy


@pytest.fixture
def witness(place: Place, settings: Any) -> Witness:
    """A view of the locks of `default` over separate connections."""
    put(settings, Witness.settings(place))
    return Witness().teach()


@pytest.fixture
def through_proxy(place: Place, proxy: Proxy, witness: Witness, settings: Any) -> Proxy:
    """A proxy through which `default` reaches the server, but not the witness."""
    put(settings, Witness.settings(place, Place(proxy.url, place.prefix)))
    return proxy
