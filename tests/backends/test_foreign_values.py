"""Foreign values beside holds, which end no hold and make no verb fail."""

from __future__ import annotations

import pytest
from redis import Redis

from django_redislock.backends.base import Busy, Extension, Grant
from django_redislock.backends.redis import RedisLockBackend
from django_redislock.backends.redis.keys import name_keys
from django_redislock.conf import LockConfig
from django_redislock.testing.driver import Verbs
from tests.backends.test_damage import NAME, NEIGHBOUR, backend, client

__all__ = ["backend", "client"]  # fixtures


def test_a_foreign_value_beside_a_hold_does_not_end_it(
    backend: RedisLockBackend, client: Redis, key_prefix: str
) -> None:
    backend.config = LockConfig(key_prefix=key_prefix)
    verbs = Verbs(backend, None)
    first = verbs.claim(NAME, limit=2)
    verbs.hold(first)
    client.set(name_keys(key_prefix, NAME).holds, "foreign")
    granted = [isinstance(verbs.acquire(verbs.claim(NAME, limit=2)), Grant) for _ in range(2)]
    assert granted == [True, False]
    assert first.token in verbs.holders(NAME)


@pytest.mark.parametrize("milliseconds", [15_000.5, 90_000_000.5])
def test_fractions_of_a_millisecond_make_no_verb_fail(
    backend: RedisLockBackend, client: Redis, key_prefix: str, milliseconds: float
) -> None:
    backend.config = LockConfig(key_prefix=key_prefix)
    verbs = Verbs(backend, None)
    claims = [verbs.claim(NAME, limit=3) for _ in range(2)]
    for claim in claims:
        verbs.hold(claim)
    sound = verbs.claim(NEIGHBOUR)
    verbs.hold(sound)
    seconds, micros = client.time()
    ends = seconds * 1000 + micros // 1000 + milliseconds
    client.zadd(name_keys(key_prefix, NAME).holds, {claim.token: ends for claim in claims})
    assert isinstance(verbs.acquire(verbs.claim(NAME, limit=1)), Busy)
    renewals = [
        Extension(claim.name, claim.token, 10.0, renewal=True) for claim in (sound, *claims)
    ]
    assert all(isinstance(end, float) for end in verbs.backend.extend_all(renewals))
    assert isinstance(verbs.acquire(claims[0]), Grant)
    assert len(backend.inspect(NAME)[0]) == 2
    assert all(verbs.release(claim) for claim in claims)
