"""Lapsed turns: unconfirmed hand-overs, which Redis keeps for longer than they hold."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import lock_backends
from django_redislock.backends.base import BaseLockBackend, Claim, Extension, Grant
from django_redislock.backends.redis.keys import name_keys
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import wait_until

HOLDER, LAPSED, NEXT = (digit * 32 for digit in "123")


def claim(token: str) -> Claim:
    return Claim("a", token, 1, 60.0, "{}")


@pytest.fixture(params=["nobody behind it", "another behind it"])
def lapsed(
    use: UsePlace, redis_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """A backend where ``LAPSED`` had its turn, but its process did not notice."""
    place = use(redis_url, entry={"OPTIONS": {"grant_lease": 0.05}})
    backend = lock_backends["default"]
    assert isinstance(backend.acquire(claim(HOLDER)), Grant)
    backend.listen("a", 10)
    for token in [LAPSED, NEXT][: 1 + (request.param == "another behind it")]:
        backend.acquire(claim(token), 60.0)
    monkeypatch.setattr(backend.waiters, "notify", lambda *turn: True)
    backend.release("a", HOLDER)
    wait_until(lambda: not backend.inspect("a")[0])
    with place.client() as client:
        assert client.get(name_keys(place.prefix, "a").hold), "it is kept, to know whose it was"
    yield backend
    backend.close()


def test_a_lapsed_turn_is_not_shown(lapsed: BaseLockBackend) -> None:
    assert not lapsed.entries(0, 10).entries
    assert not list(lapsed.entries_of(["a"]))
    assert not lapsed.list(0, 10).holds


@pytest.mark.parametrize("verb", ["release", "extend", "force_release"])
def test_the_token_of_a_lapsed_turn_holds_nothing(lapsed: BaseLockBackend, verb: str) -> None:
    acts: dict[str, Any] = {
        "release": lambda: lapsed.release("a", LAPSED),
        "extend": lambda: lapsed.extend(Extension("a", LAPSED, 60.0)),
        "force_release": lambda: lapsed.force_release("a", LAPSED),
    }
    assert not acts[verb]()


def test_the_name_of_a_lapsed_turn_is_free_for_the_next(
    lapsed: BaseLockBackend, place: Place
) -> None:
    queue = [one.token for one in lapsed.inspect("a")[1]]
    token = queue[0] if queue else NEXT
    assert isinstance(lapsed.acquire(claim(token), 60.0), Grant)
    assert [hold.token for hold in lapsed.inspect("a")[0]] == [token]
