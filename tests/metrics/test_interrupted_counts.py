"""Counts of a caller that was interrupted before it had scheduled their report."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import events, lock
from django_redislock.local.background import background
from tests.metrics.test_recording import figures
from tests.support.places import Place
from tests.support.processes import wait_until
from tests.support.settled import settle


def test_counts_of_an_interrupted_caller_are_sent_with_the_next_ones(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SEND_EVERY", 0.01)
    with lock("kept", lease=600):
        wait_until(lambda: "kept" in figures())

        def interrupted(*args: Any, **options: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(background, "later", interrupted)
            with pytest.raises(KeyboardInterrupt):
                lock("a").acquire()
        settle()
        with lock("b"):
            pass
        wait_until(lambda: {"a", "b"} <= set(figures()))
