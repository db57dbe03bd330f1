"""Tallies: percentiles and sums of durations in buckets."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from django_redislock.figures.tallies import BOUNDS, Tally

DURATIONS = st.floats(min_value=0.0, max_value=2 * BOUNDS[-1])


def tally_of(waits: Any, holds: Any = ()) -> Any:
    tally = Tally()
    for wait in waits:
        tally.was_acquired(wait)
    for hold in holds:
        tally.was_released(hold)
    return tally


def test_the_buckets_cover_a_millisecond_to_an_hour() -> None:
    assert BOUNDS[0] == 0.001
    assert BOUNDS[-1] > 3600
    assert len(BOUNDS) < 25
    assert {after / before for before, after in pairwise(BOUNDS)} == {2.0}


@given(st.lists(DURATIONS, min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_right_within_the_width_of_a_bucket(durations: Any, share: Any) -> None:
    guess = tally_of(durations).wait(share)
    exact = sorted(durations)[math.ceil(share * len(durations)) - 1]
    lower = max((bound for bound in BOUNDS if bound < exact), default=0.0)
    upper = min((bound for bound in BOUNDS if bound >= exact), default=max(durations))
    assert lower * 0.999 <= guess <= upper * 1.001
    assert guess <= max(durations)


def test_percentiles_are_in_order_and_end_with_the_longest() -> None:
    tally = tally_of([0.01] * 90 + [0.1] * 8 + [1.0, 3.0])
    ordered = [tally.wait(share) for share in (0.0, 0.5, 0.95, 0.99, 1.0)]
    assert ordered == sorted(ordered)
    assert ordered[-1] == tally.longest_wait == 3.0


def test_percentiles_of_an_empty_tally_are_zero() -> None:
    assert Tally().wait(0.99) == Tally().hold(0.5) == 0.0


@given(st.lists(DURATIONS, max_size=20), st.lists(DURATIONS, max_size=20))
def test_the_sum_of_two_tallies_is_that_of_all_durations(first: Any, second: Any) -> None:
    apart = tally_of(first, second)
    apart.add(tally_of(second, first))
    assert apart == tally_of(first + second, second + first)


@given(st.lists(DURATIONS, max_size=20))
def test_a_tally_reads_the_same_figures_that_it_has_written(durations: Any) -> None:
    tally = tally_of(durations, durations)
    tally.busy, tally.lost = 3, 4
    again = Tally.of(tally.figures())
    assert again.figures() == tally.figures()
    assert again.longest_wait == pytest.approx(tally.longest_wait, abs=1e-6)
