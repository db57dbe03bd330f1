"""Leases after the clock of the server was set."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.base import Extension
from django_redislock.testing.driver import Verbs
from tests.support.processes import wait_until
from tests.support.server_clock import server_with_clock

LEASE = 600.0
BACK = 3600.0
FORWARD = 1800.0


@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("verb", ["renewal", "acquire"])
def test_a_renewal_does_not_keep_the_time_by_which_the_clock_was_set_back(
    use: Callable[..., Any], tmp_path: Path, limit: int, verb: str
) -> None:
    server, clock = server_with_clock(tmp_path)
    with server, Redis.from_url(server.url) as client:
        use("", entry={"LOCATION": server.url})
        backend = lock_backends["default"]
        verbs = Verbs(backend, None)
        claims = [verbs.claim("a", limit=limit, lease=LEASE) for _ in range(limit)]
        for claim in claims:
            verbs.hold(claim)
        before = client.time()[0]
        clock.shift(-BACK)
        wait_until(lambda: client.time()[0] < before)  # the server reads it now and then
        for claim in claims:
            if verb == "renewal":
                backend.extend(Extension("a", claim.token, LEASE, renewal=True))
            else:
                verbs.hold(claim)
        holds = backend.inspect("a")[0]
        backend.close()
    assert [hold.remaining <= LEASE for hold in holds] == [True] * limit


def test_a_turn_does_not_last_longer_because_the_clock_was_set_forward(
    use: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait() -> None:
        with waiter:
            left.append(waiter.remaining())

    def unavailable(extensions: Any) -> Any:
        raise LockUnavailable("")

    left: list[float] = []
    server, clock = server_with_clock(tmp_path)
    with server, Redis.from_url(server.url) as client:
        use("", entry={"LOCATION": server.url})
        backend = lock_backends["default"]
        waiter, waiting = lock("a", wait=2 * FORWARD), threading.Thread(target=wait)
        with lock("a", lease=2 * FORWARD):
            waiting.start()
            wait_until(lambda: backend.inspect("a")[1])
            before = client.time()[0]
            clock.shift(FORWARD)
            wait_until(lambda: client.time()[0] > before + FORWARD / 2)
            monkeypatch.setattr(backend, "extend_all", unavailable)
        waiting.join()
        backend.close()
    assert left[0] <= backend.grant_lease
