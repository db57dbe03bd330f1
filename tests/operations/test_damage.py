"""Damaged data: pages and commands show the rest, and can clear it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from hypothesis import given, settings, strategies as st

from django_redislock import lock_backends
from django_redislock.testing.driver import Verbs
from tests.admin.pages import PAGE, page
from tests.backends.test_damage import NAME, NEIGHBOUR, STATES
from tests.support.commands import output_of
from tests.support.damage import Chance, damage_some, examples
from tests.support.places import Place


def look(client: Client, *, index_is_whole: bool) -> None:
    """Open all pages, and run all listings."""
    for query in ({}, {"state": "damaged"}, {"o": "-age"}, {"q": "order"}, {"state": "orphaned"}):
        assert "cannot be shown" not in page(client, **query)
    address = f"{PAGE}default_3A{NAME.replace(' ', '%20')}/change/"
    assert "cannot be shown" not in page(client, address)
    for form in ("table", "json", "csv"):
        assert NEIGHBOUR in output_of("listlocks", format=form) or not index_is_whole
    output_of("listlocks", name=[NAME], older_than="1s")


@pytest.mark.django_db
@settings(max_examples=examples(15))
@given(state=st.sampled_from(STATES), seed=st.integers(0, 2**64))
def test_pages_and_commands_show_the_rest_of_damaged_data(
    place: Place, admin_client: Client, state: Callable[[Verbs], None], seed: int
) -> None:
    chance = Chance(seed)
    verbs = Verbs(lock_backends["default"], None)
    verbs.hold(verbs.claim(NEIGHBOUR, token="n1"))
    state(verbs)
    with place.client() as client:
        chosen = damage_some(client, place.prefix, chance, spared=NEIGHBOUR)
        look(admin_client, index_is_whole=not any(key.endswith(b":index") for key in chosen))
        for _ in range(20):
            if not lock_backends["default"].inspect(NAME)[0]:
                break
            output_of("clearlocks", name=[NAME], interactive=False)
        assert not lock_backends["default"].inspect(NAME)[0]
        assert verbs.holders(NEIGHBOUR) == ["n1"]
        for key in client.scan_iter(match=f"{place.prefix}:*", count=1000):
            client.unlink(key)
