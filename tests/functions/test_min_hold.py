"""Minimum holds, which outlive functions that end sooner."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from django_redislock import Lock, LockLost, LockUnavailable, lock, lock_backends
from django_redislock.functions.decorator import locked
from django_redislock.local.registry import registry
from django_redislock.signals import lock_lost, lock_released
from tests.support.processes import wait_until


def remaining(name: str, alias: str) -> float:
    return sum(hold.remaining for hold in lock_backends[alias].inspect(name)[0])


def test_the_lock_is_held_for_min_hold_without_renewal(alias: str) -> None:
    @locked("report", using=alias, wait=0, on_busy="skip", min_hold=2.2, lease=1.2)
    def report() -> str:
        return "done"

    began = time.monotonic()
    assert report() == "done"
    assert 0 < remaining("report", alias) <= 2.2
    assert report() is None
    with lock("report", using=alias, wait=30):
        assert time.monotonic() - began >= 2.2


async def test_min_hold_applies_to_coroutines(alias: str) -> None:
    @locked("report", using=alias, min_hold=30)
    async def report() -> str:
        return "done"

    assert await report() == "done"
    assert 20 < remaining("report", alias) <= 30


def test_a_function_that_takes_longer_releases_at_once(alias: str) -> None:
    @locked("report", using=alias, min_hold=0.02)
    def report() -> None:
        time.sleep(0.03)

    report()
    assert remaining("report", alias) == 0


def test_min_hold_applies_to_all_of_several_names(alias: str) -> None:
    @locked(["a", "b"], using=alias, min_hold=30)
    def report() -> None: ...

    report()
    assert remaining("a", alias) > 20
    assert remaining("b", alias) > 20


def test_min_hold_applies_after_an_error() -> None:
    @locked("report", using="memory", min_hold=30)
    def report() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        report()
    assert remaining("report", "memory") > 20


def lose(name: str) -> None:
    backend = lock_backends["memory"]
    (hold,), _ = backend.inspect(name)
    assert backend.force_release(name, hold.token)


def test_a_loss_is_reported_but_does_not_hide_the_error_of_the_function() -> None:
    @locked("report", using="memory", min_hold=30)
    def report(error: Exception | None) -> None:
        lose("report")
        if error:
            raise error

    with pytest.raises(LockLost):
        report(None)
    with pytest.raises(KeyError, match="mine") as caught:
        report(KeyError("mine"))
    notes = getattr(caught.value, "__notes__", [str(caught.value.__context__)])
    assert "lost" in " ".join(notes)


def test_a_loss_noticed_by_the_release_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[str] = []

    def receive(sender: object, lock: Lock, reason: str, **more: Any) -> None:
        reported.append(lock.name)

    @locked("report:told", using="memory", min_hold=30)
    def report() -> None:
        monkeypatch.setattr(lock_backends["memory"], "extend", lambda extension: None)

    lock_lost.connect(receive)
    try:
        with pytest.raises(LockLost):
            report()
        wait_until(lambda: "report:told" in reported)
    finally:
        lock_lost.disconnect(receive)
    # Holds of other tests, which still last, are lost with it.
    assert reported.count("report:told") == 1
    assert [hold for hold in registry.holds if hold.name == "report:told"] == []


def test_without_an_answer_the_name_is_held_until_its_lease_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def extend(extension: Any) -> Any:
        raise LockUnavailable("no answer", name="report")

    @locked("report", using="memory", min_hold=30, lease=20)
    def report() -> str:
        monkeypatch.setattr(lock_backends["memory"], "extend", extend)
        return "done"

    with caplog.at_level(logging.WARNING, "django_redislock"):
        assert report() == "done"
    assert 10 < remaining("report", "memory") <= 20
    assert "no answer" in caplog.text


def test_the_reported_length_of_the_hold_includes_min_hold(alias: str) -> None:
    reported: list[tuple[Any, bool]] = []

    def note(held: float | None, **named: Any) -> None:
        reported.append((held, remaining("kept", alias) > 20))

    @locked("kept", using=alias, min_hold=30)
    def report() -> None: ...

    lock_released.connect(note)
    try:
        report()
    finally:
        lock_released.disconnect(note)
    assert reported == [(pytest.approx(30, abs=0.001), True)]
    meter = lock_backends[alias].meter
    assert meter is not None
    tally = meter.take().tallies["kept"]
    assert (tally.acquired, sum(tally.holds)) == (1, 1)
    assert tally.hold(0.5) == pytest.approx(30, rel=0.3), "in its bucket"


def test_a_server_that_does_not_answer_until_min_hold_is_over_releases_the_lock_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: Any) -> None:
        raise LockUnavailable("no answer", name="report")

    held = lock("report", using="memory", lease=600, min_hold=2)
    held.acquire()
    monkeypatch.setattr(held.backend, "extend", refuse)
    with pytest.raises(LockUnavailable):
        held.release()
    wait_until(lambda: not held.backend.inspect("report")[0])
