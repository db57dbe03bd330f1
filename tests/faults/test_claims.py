"""Claims of a worker: what they write into the history when a hold is lost, and when it is not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from django_redislock import LockLost
from django_redislock.local.lost import Lost
from tests.faults.history import History
from tests.faults.workers.claims import Claim
from tests.faults.workers.modes import Blocking, drive


class Lapsed:
    """A handle whose lease has ended by its own clock."""

    name, held = "order:42", False

    def __init__(
        self, reason: str = "", error: Exception | None = None, extended: float = 0
    ) -> None:
        self.lost = Lost()
        self._hold = SimpleNamespace(ends=1.0)
        self._extended = extended
        if reason:
            self.lost.set(reason)
        self._error = error

    def release(self) -> None:
        self._hold.ends += self._extended
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
