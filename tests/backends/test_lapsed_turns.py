"""Lapsed turns: unconfirmed hand-overs, which Redis keeps for longer than they hold."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import lock_backends
from django_redislock.backends.base import BaseLockBackend, Claim, Extension, Grant
from django_redislock.backends.redis import RedisLockBackend
from django_redislock.backends.redis.keys import name_keys
from django_redislock.conf import LockConfig
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import wait_until

HOLDER, LAPSED, NEXT, LAST = (digit * 32 for digit in "1234")


def claim(token: str, limit: int = 1) -> Claim:
    return Claim("a", token, limit, 60.0, "{}")


@pytest.fixture
def quick(use: UsePlace, redis_url: str) -> Place:
    # Redis keeps a lapsed turn for ten times as long, in which each test has to look.
    return use(redis_url, entry={"OPTIONS": {"grant_lease": 0.3}})


@pytest.fixture
def other_process(quick: Place) -> Any:
    backend = RedisLockBackend(LockConfig(key_prefix=quick.prefix))
    yield backend
    backend.close()


@pytest.fixture(params=["release", "cancel"])
def end(request: pytest.FixtureRequest) -> str:
    """The verb that hands over: a script of its own for the common case, or the general one."""
    return str(request.param)


@pytest.fixture(params=["nobody behind it", "others behind it"])
def lapsed(
    quick: Place,
    end: str,
    other_process: BaseLockBackend,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """A backend where ``LAPSED`` had its turn, but its process did not notice."""
    backend = lock_backends["default"]
    assert isinstance(backend.acquire(claim(HOLDER)), Grant)
    backend.listen("a", 10)
    backend.acquire(claim(LAPSED), 60.0)
    if request.param == "others behind it":
        backend.acquire(claim(NEXT), 60.0)
        other_process.listen("a", 10)
        other_process.acquire(claim(LAST), 60.0)
    monkeypatch.setattr(backend.waiters, "notify", lambda *turn: True)
    getattr(backend, end)("a", HOLDER)
    wait_until(lambda: not backend.inspect("a")[0])
    with quick.client() as client:
        assert client.get(name_keys(quick.prefix, "a").hold), "it is kept, to know whose it was"
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


def test_the_name_of_a_lapsed_turn_is_free_for_the_next(lapsed: BaseLockBackend) -> None:
    # The process that asks is not frozen, so those of others do not pass it.
    queue = [one.token for one in lapsed.inspect("a")[1]]
    token = queue[0] if queue else NEXT
    assert isinstance(lapsed.acquire(claim(token), 60.0), Grant)
    assert [hold.token for hold in lapsed.inspect("a")[0]] == [token]


def test_a_turn_that_is_given_back_after_its_waiter_asked_again_stays(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply has granted it the name, so the turn is not needed any more."""
    backend = lock_backends["default"]
    assert isinstance(backend, RedisLockBackend)
    backend.acquire(claim(HOLDER))
    backend.listen("a", 10)
    backend.acquire(claim(NEXT), 60.0)
    monkeypatch.setattr(backend.waiters, "notify", lambda *turn: True)
    backend.release("a", HOLDER)
    assert isinstance(backend.acquire(claim(NEXT), 60.0), Grant)
    backend._return_turn("a", NEXT)
    assert [hold.token for hold in backend.inspect("a")[0]] == [NEXT]
    backend.close()


@pytest.mark.parametrize("lapsed", ["others behind it"], indirect=True)
def test_other_processes_pass_over_its_waiters_which_still_expire(
    lapsed: BaseLockBackend, other_process: BaseLockBackend, quick: Place
) -> None:
    assert isinstance(other_process.acquire(claim(LAST), 60.0), Grant)
    assert [waiting.token for waiting in lapsed.inspect("a")[1]] == [NEXT]
    with quick.client() as client:
        assert 0 < client.pttl(name_keys(quick.prefix, "a").queue) <= 2 * 60_000


def test_other_processes_pass_over_its_waiters_also_for_a_permit(
    quick: Place, other_process: BaseLockBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = lock_backends["default"]
    for token in (HOLDER, "5" * 32):
        assert isinstance(backend.acquire(claim(token, limit=2)), Grant)
    backend.listen("a", 10)
    for token in (LAPSED, NEXT):
        backend.acquire(claim(token, limit=2), 60.0)
    monkeypatch.setattr(backend.waiters, "notify", lambda *turn: True)
    backend.release("a", HOLDER)
    wait_until(lambda: len(backend.entries(0, 10).entries) == 1)
    assert isinstance(other_process.acquire(claim(LAST, limit=2), 60.0), Grant)
    backend.close()
