"""Claims of a worker: what they write into the history when a hold is lost, and when it is not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from django_redislock import LockLost, lock
from django_redislock.local.lost import Lost
from tests.faults.checker import Rules, violations
from tests.faults.history import History
from tests.faults.workers.claims import Claim
from tests.faults.workers.modes import Blocking, drive
from tests.support.processes import wait_until


class Lapsed:
    """A handle whose lease has ended by its own clock."""

    name, held = "order:42", False

    def __init__(
        self,
        reason: str = "",
        error: Exception | None = None,
        extended: float = 0,
        reason_meanwhile: str = "",
    ) -> None:
        self.lost = Lost()
        self._hold = SimpleNamespace(ends=1.0)
        self._extended = extended
        if reason:
            self.lost.set(reason)
        self._error = error
        self._reason_meanwhile = reason_meanwhile

    def release(self) -> None:
        self._hold.ends += self._extended
        if self._reason_meanwhile:
            self.lost.set(self._reason_meanwhile)
        if self._error:
            raise self._error


def errors_of(handle: Any, history: History) -> list[str]:
    claim = Claim(handle, "a", history, Blocking(), (), lease=0.8)
    drive(claim.release())
    return [event.error for event in history.events() if event.kind == "error"]


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def test_a_loss_that_the_release_reports_is_no_error(history: History) -> None:
    assert errors_of(Lapsed("its lease ran out", LockLost("a")), history) == []


def test_a_loss_that_the_release_hides_is_an_error(history: History) -> None:
    assert len(errors_of(Lapsed("its lease ran out", extended=1), history)) == 1


def test_a_lease_that_nothing_extends_stays_over(history: History) -> None:
    assert len(errors_of(Lapsed(), history)) == 1


def test_an_extension_may_be_answered_just_after_the_lease_has_ended(history: History) -> None:
    assert errors_of(Lapsed(extended=1), history) == []


def test_a_thread_may_note_the_end_of_the_lease_after_its_extension(history: History) -> None:
    """It has seen the end, and the release begins before it says so."""
    assert errors_of(Lapsed(extended=1, reason_meanwhile="its lease ran out"), history) == []


@pytest.mark.parametrize(("first_lease", "wrong"), [(0.1, 0), (60, 1)])
def test_a_loss_is_judged_by_the_lease_that_is_left_after_the_release(
    history: History, monkeypatch: pytest.MonkeyPatch, first_lease: float, wrong: int
) -> None:
    """While the last of two names is waited for, the lease of the first may come to its end."""
    handle = lock(["order:42", "order:43"], using="memory", renew=False, lease=60)
    assert handle.acquire()
    first, last = handle.locks
    release = first.backend.release

    def release_last(name: str, *arguments: Any) -> bool:
        if name == last.name and not wrong:
            wait_until(lambda: not first.held)
        return release(name, *arguments) and not wrong

    monkeypatch.setattr(first.backend, "release", release_last)
    first.extend(first_lease)
    drive(Claim(handle, "a", history, Blocking(), ()).release())
    found = violations(history.events(), Rules(renewal=True))
    assert len([text for _, text in found if "for no reason" in text]) == wrong
