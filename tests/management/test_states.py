"""States of holds, as determined from the stored data."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from django_redislock import lock, lock_backends, locked
from django_redislock.backends.base import Extended, Extension, Hold, Holder
from django_redislock.operations.states import STATES, state_of
from tests.management.holds import aged, hold, is_held
from tests.support.commands import output_of
from tests.support.processes import wait_until

PLAIN = Hold(
    "a", "token", 1, 1, 30.0, 30.0, datetime.now(timezone.utc), 0, Holder(host="elsewhere", pid=1)
)


@pytest.mark.parametrize(
    ("renews_for", "age", "lease", "remaining", "state", "orphaned"),
    [
        (None, 0.0, 30.0, 30.0, "held", False),
        (None, 9.0, 30.0, 21.0, "held", False),
        (None, 11.0, 30.0, 29.0, "renewing", False),
        # Last renewed 19 seconds ago: one renewal is overdue, but may still come.
        (None, 60.0, 30.0, 11.0, "renewing", False),
        (None, 60.0, 30.0, 9.0, "silent", True),
        # Not renewed once.
        (None, 21.0, 30.0, 9.0, "silent", False),
        # A long lease is renewed every ten seconds all the same.
        (None, 300.0, 600.0, 590.0, "renewing", False),
        (None, 300.0, 600.0, 570.0, "silent", True),
        # Just handed over, and not confirmed yet.
        (None, 0.3, 30.0, 1.7, "held", False),
        (None, 5.0, 30.0, 600.0, "renewing", False),
        (60.0, 59.0, 30.0, 29.0, "renewing", False),
        (60.0, 61.0, 30.0, 29.0, "overdue", False),
        (60.0, 85.0, 30.0, 5.0, "overdue", True),
        # Not renewed at all, as intended.
        (0.0, 29.0, 30.0, 1.0, "held", False),
        (0.0, 50.0, 30.0, 1.0, "renewing", False),
    ],
)
def test_states_are_determined_from_stored_data(
    renews_for: float | None,
    age: float,
    lease: float,
    remaining: float,
    state: str,
    orphaned: bool,
) -> None:
    holder = replace(PLAIN.holder, renews_for=renews_for)
    hold = replace(PLAIN, age=age, lease=lease, remaining=remaining, holder=holder)
    assert state_of(hold) == state
    states = ("held", "renewing", "overdue", "silent")
    assert [name for name in states if STATES[name](hold)] == [state]
    assert STATES["orphaned"](hold) == orphaned


@pytest.mark.parametrize(("age", "remaining"), [(0.0, 3600.0), (50.0, 3550.0), (3500.0, 100.0)])
def test_a_detached_hold_has_its_own_state_and_is_not_orphaned(
    age: float, remaining: float
) -> None:
    ended = replace(PLAIN.holder, host=socket.gethostname(), pid=2**22 + 1, renews_for=60.0)
    for holder in (PLAIN.holder, ended):
        detached = replace(
            PLAIN, age=age, remaining=remaining, holder=holder, detached=True, lease=3600.0
        )
        assert state_of(detached) == "detached"
        assert not STATES["orphaned"](detached), "it needs no process"


@pytest.mark.parametrize("using", ["default", "memory"])
def test_detached_holds_and_minimum_holds_are_shown_as_detached(using: str) -> None:
    @locked("kept", using=using, min_hold=60)
    def work() -> None: ...

    work()
    handle = lock("handed on", using=using, lease=6)
    handle.acquire()
    assert listed()["handed on"] == "held"
    token = handle.detach(3600)
    assert listed() == {"kept": "detached", "handed on": "detached"}
    assert listed(state="detached") == listed()
    assert listed(orphaned=True) == {}
    with lock("handed on", using=using, token=token):
        assert listed()["handed on"] != "detached"


@pytest.mark.parametrize("using", ["default", "memory"])
def test_the_time_for_which_a_hold_is_renewed_is_stored(using: str) -> None:
    options: dict[str, dict[str, Any]] = {
        "a": {},
        "b": {"max_hold": 5},
        "c": {"max_hold": float("inf")},
        "d": {"renew": False},
    }
    for name, given in options.items():
        with lock(name, using=using, **given) as held:
            (stored,) = lock_backends[using].inspect(name)[0]
            assert stored.holder == held.holder
            assert stored.holder.renews_for == {"b": 5, "d": 0}.get(name)


@pytest.mark.parametrize("using", ["default", "memory"])
def test_a_hold_whose_holder_shortens_the_lease_is_not_silent(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = hold("a", using, lease=60)
    lock_backends[using].extend(Extension("a", token, 10))
    aged(monkeypatch, using, {"a": 50.0})
    assert listed() == {"a": "renewing"}


@pytest.mark.parametrize("using", ["default", "memory"])
def test_an_extended_hold_whose_renewals_are_overdue_is_silent(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is renewed as often as if it had not been extended."""
    token = hold("a", using, lease=60)
    lock_backends[using].extend(Extension("a", token, 600))
    aged(monkeypatch, using, {"a": 50.0}, remaining=590.0)
    assert listed() == {"a": "renewing"}
    aged(monkeypatch, using, {"a": 50.0}, remaining=570.0)
    assert listed() == {"a": "silent"}


def listed(**options: Any) -> dict[str, str]:
    lines = map(json.loads, output_of("listlocks", format="jsonl", **options).splitlines())
    return {line["name"]: line["state"] for line in lines}


@pytest.mark.parametrize("using", ["default", "memory"])
def test_a_renewed_hold_is_shown_as_renewing(using: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extend_all, may_renew = lock_backends[using].extend_all, threading.Event()

    def extend_late(extensions: Sequence[Extension]) -> Sequence[Extended]:
        assert may_renew.wait(20)
        return extend_all(extensions)

    monkeypatch.setattr(lock_backends[using], "extend_all", extend_late)
    hold("still", using, lease=60)
    with lock("lively", using=using, lease=6):
        assert listed()["lively"] == "held"
        may_renew.set()
        wait_until(lambda: listed()["lively"] == "renewing")
    assert listed()["still"] == "held"


@pytest.mark.parametrize("using", ["default", "memory"])
def test_a_hold_that_is_no_longer_renewed_is_orphaned(using: str) -> None:
    frozen = hold("frozen", using, lease=7)
    lively = hold("lively", using, lease=60)
    time.sleep(0.3)
    lock_backends[using].extend(Extension("frozen", frozen, 7))
    wait_until(lambda: listed(orphaned=True) == {"frozen": "silent"})
    output_of("clearlocks", orphaned=True, interactive=False)
    assert not is_held("frozen", frozen, using)
    assert is_held("lively", lively, using)
