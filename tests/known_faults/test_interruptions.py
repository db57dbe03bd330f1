"""Interruptions at any place of a caller, which leave nothing behind."""

from __future__ import annotations

import pytest

from tests.known_faults import sweeps
from tests.support.places import Place
from tests.support.processes import Workers

WITHIN = 50.0


def run(workers: Workers, place: Place, operation: str, every: int, second: int | None) -> None:
    assert workers.start(sweeps.sweep, place, operation, every, second).result(WITHIN) == []


@pytest.mark.parametrize(
    ("operation", "every"),
    [
        ("acquiring", 1),
        ("with_block", 1),
        ("releasing", 1),
        ("extending", 1),
        ("async_with_block", 9),
        ("waiting_in_vain", 19),
        ("waiting", 19),
    ],
)
def test_an_interruption_anywhere_leaves_nothing_behind(
    workers: Workers, place: Place, operation: str, every: int
) -> None:
    run(workers, place, operation, every, None)


def test_an_acquire_after_an_interrupted_release_reports_the_truth(
    workers: Workers, place: Place
) -> None:
    assert workers.start(sweeps.take_again, place).result(WITHIN) == []


@pytest.mark.parametrize("operation", ["aacquire", "arelease", "with"])
def test_a_cancelled_task_leaves_nothing_behind(
    workers: Workers, place: Place, operation: str
) -> None:
    assert workers.start(sweeps.cancel, place, operation).result(WITHIN) == []


@pytest.mark.parametrize("second", [0, 4, 12])
@pytest.mark.parametrize("operation", ["acquiring", "releasing"])
def test_two_interruptions_in_a_row_leave_nothing_behind(
    workers: Workers, place: Place, operation: str, second: int
) -> None:
    """The second comes during the clean-up after the first."""
    run(workers, place, operation, 3, second)
