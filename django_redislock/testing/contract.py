"""Contract of every lock backend, as tests for the author of a new backend to inherit.

    import pytest
    pytest.register_assert_rewrite("django_redislock.testing.contract")  # in conftest.py
    from django_redislock.testing.contract import BackendContract

    class TestMyBackend(BackendContract):
        @pytest.fixture
        def backend(self):
            return MyBackend(LockConfig(key_prefix="one that no other test has"))

Each test runs twice: once with the verbs for threads, and once with their twins for coroutines.
"""

# ruff: noqa: S101 - these are tests

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from django_redislock.backends.base import BaseLockBackend, Busy, Extension, Grant
from django_redislock.testing.driver import LONG, SHORT, Verbs, outlive, wait_until
from django_redislock.testing.sharing_contract import SharingContract

from ..clock import monotonic

__all__ = ["BackendContract"]

# Names that projects may give to locks. Each must be a separate lock.
NAMES = [
    "order:42", "order:42 ", "Order:42", "größe", "grösse", "\U0001f512", "a b", "{a}", "}{", "*",
    "line\nbreak", "zero\0", "%s", "a:queue:b", "0", "n" * 2000,
]  # fmt: skip


class BackendContract(SharingContract):
    """Inherit this class and add a fixture ``backend`` that returns a backend without any holds."""

    @pytest.fixture(params=["sync", "async"])
    def verbs(self, request: pytest.FixtureRequest, backend: BaseLockBackend) -> Iterator[Verbs]:
        if request.param == "sync":
            yield Verbs(backend, None)
            return
        loop = asyncio.new_event_loop()
        yield Verbs(backend, loop)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    # One holder.

    def test_a_free_name_is_granted_for_the_lease(self, verbs: Verbs) -> None:
        before = monotonic()
        grant = verbs.hold(verbs.claim(lease=LONG))
        assert grant.confirmed
        assert before + LONG - 0.01 < grant.ends < monotonic() + LONG

    def test_a_held_name_is_busy_and_says_who_holds_it(self, verbs: Verbs) -> None:
        held = verbs.claim(lease=LONG)
        verbs.hold(held)
        busy = verbs.acquire(verbs.claim())
        assert isinstance(busy, Busy)
        assert busy.holder is not None
        assert busy.holder.what == held.token
        assert LONG - 5 < busy.retry_in <= LONG

    def test_every_name_is_a_lock_of_its_own(self, verbs: Verbs) -> None:
        claims = [verbs.claim(name) for name in NAMES]
        for claim in claims:
            verbs.hold(claim)
        assert all(verbs.is_busy(verbs.claim(name)) for name in NAMES)
        assert {hold.name for hold in verbs.backend.list().holds} == set(NAMES)
        assert all(verbs.release(claim) for claim in claims)

    def test_acquire_may_be_repeated(self, verbs: Verbs) -> None:
        claim = verbs.claim(lease=LONG)
        first = verbs.hold(claim)
        again = verbs.hold(verbs.claim(token=claim.token, lease=2 * LONG))
        assert again.fence == first.fence
        assert again.ends > first.ends + LONG / 2
        assert verbs.holders() == [claim.token]

    def test_release_frees_it_once(self, verbs: Verbs) -> None:
        claim = verbs.claim()
        verbs.hold(claim)
        assert verbs.release(claim)
        assert not verbs.release(claim)
        verbs.hold(verbs.claim())

    def test_only_the_token_releases_and_extends(self, verbs: Verbs) -> None:
        held, stranger = verbs.claim(), verbs.claim()
        verbs.hold(held)
        assert not verbs.release(stranger)
        verbs.cancel(stranger)
        assert verbs.extend(Extension("a", stranger.token, LONG)) is None
        assert not verbs.backend.force_release("a", stranger.token)
        assert verbs.holders() == [held.token]

    # The lease.

    def test_a_hold_ends_by_itself(self, verbs: Verbs) -> None:
        old, new = verbs.claim(lease=SHORT), verbs.claim()
        fence = verbs.hold(old).fence
        outlive()
        assert verbs.holders() == []
        assert not verbs.release(old)
        assert verbs.extend(Extension("a", old.token, LONG)) is None
        assert verbs.hold(new).fence > fence
        assert not verbs.release(old)
        verbs.cancel(old)
        assert verbs.holders() == [new.token]

    def test_extend_sets_the_lease_anew(self, verbs: Verbs) -> None:
        claim, ends = verbs.hold_and_extend(SHORT, LONG)
        assert ends is not None
        assert LONG - 5 < ends - monotonic() <= LONG
        outlive()
        assert verbs.holders() == [claim.token]
        verbs.shorten(claim)
        outlive()
        assert verbs.holders() == []

    def test_a_renewal_does_not_make_a_lease_shorter(self, verbs: Verbs) -> None:
        claim = verbs.claim(lease=LONG)
        verbs.hold(claim)
        ends = verbs.extend(Extension("a", claim.token, SHORT, renewal=True))
        assert ends is not None
        assert ends > monotonic() + LONG / 2

    def test_many_are_extended_together(self, verbs: Verbs) -> None:
        claims = [verbs.claim(str(number)) for number in range(600)]
        for claim in claims[::2]:
            verbs.hold(claim)
        ends = verbs.backend.extend_all([Extension(c.name, c.token, 2 * LONG) for c in claims])
        longer = monotonic() + LONG
        assert [isinstance(end, float) and end > longer for end in ends] == [True, False] * 300

    def test_fences_rise_and_are_exact_as_floats(self, verbs: Verbs) -> None:
        fences = []
        for _ in range(20):
            claim = verbs.claim()
            fences.append(verbs.hold(claim).fence)
            verbs.release(claim)
        assert fences == sorted(set(fences))
        assert 0 < fences[0] < fences[-1] < 2**53

    # The queue.

    def test_release_hands_over_in_the_order_of_arrival(self, verbs: Verbs) -> None:
        held, first, second = verbs.claim(), verbs.claim(), verbs.claim()
        fence = verbs.hold(held).fence
        recorder, other = verbs.queue_up(first), verbs.queue_up(second)
        assert verbs.waiting() == [first.token, second.token]
        assert verbs.backend.list().holds[0].waiters == 2
        verbs.release(held)
        turn = recorder.turn()
        assert turn.fence > fence
        assert verbs.holders() == [first.token]
        assert verbs.waiting() == [second.token]
        assert not other.notified
        verbs.release(first)
        assert other.turn().fence > turn.fence

    def test_busy_has_the_position_in_the_queue(self, verbs: Verbs) -> None:
        claims = [verbs.claim() for _ in range(3)]
        held = verbs.claim()
        verbs.hold(held)
        assert verbs.position(verbs.claim()) == 1, "it would be first in the queue"
        assert [verbs.position(claim, LONG) for claim in claims] == [1, 2, 3]
        assert [verbs.position(claim, LONG) for claim in claims] == [1, 2, 3]
        assert verbs.position(verbs.claim()) == 4, "it has not joined the queue, and would be last"
        verbs.cancel(claims[1])
        assert [verbs.position(claim, LONG) for claim in (claims[0], claims[2])] == [1, 2]

    def test_a_position_is_that_after_others_had_their_turn(self, verbs: Verbs) -> None:
        held, first, second, late = (verbs.claim() for _ in range(4))
        verbs.hold(held)
        verbs.queue_up(first)
        verbs.queue_up(second)
        verbs.shorten(held)
        outlive()
        assert verbs.position(late, LONG) == 2, "this request gives the first waiter its turn"
        assert verbs.holders() == [first.token]

    def test_a_busy_name_says_how_long_it_is_held(self, verbs: Verbs) -> None:
        verbs.hold(verbs.claim())
        outlive()
        busy = verbs.acquire(verbs.claim())
        assert isinstance(busy, Busy)
        assert SHORT <= busy.held_for < LONG

    def test_a_waiter_that_asks_again_keeps_its_place(self, verbs: Verbs) -> None:
        held, first, second = verbs.claim(), verbs.claim(), verbs.claim()
        verbs.hold(held)
        verbs.queue_up(first)
        verbs.queue_up(second)
        assert isinstance(verbs.acquire(first, LONG), Busy)
        assert verbs.waiting() == [first.token, second.token]

    def test_a_waiter_that_has_its_turn_already_finds_it(self, verbs: Verbs) -> None:
        held, first = verbs.claim(), verbs.claim()
        verbs.hold(held)
        recorder = verbs.queue_up(first)
        verbs.release(held)
        grant = verbs.acquire(first, LONG)
        assert isinstance(grant, Grant)
        assert grant.fence == recorder.turn().fence

    def test_a_question_leaves_no_trace(self, verbs: Verbs) -> None:
        verbs.hold(verbs.claim())
        assert verbs.is_busy(verbs.claim())
        assert verbs.waiting() == []

    def test_nobody_barges(self, verbs: Verbs) -> None:
        held, first, late = (verbs.claim(limit=limit) for limit in (2, 1, 2))
        verbs.hold(held)
        verbs.queue_up(first)
        assert verbs.is_busy(late), "the limit leaves room, but another waiter is first"

    def test_a_lease_that_ends_is_handed_over_by_the_next_attempt(self, verbs: Verbs) -> None:
        held, first, second = verbs.claim(), verbs.claim(), verbs.claim()
        verbs.hold(held)
        recorder = verbs.queue_up(first)
        verbs.queue_up(second)
        verbs.shorten(held)
        outlive()
        assert isinstance(verbs.acquire(second, LONG), Busy)
        recorder.turn()
        assert verbs.holders() == [first.token]

    def test_a_waiter_whose_stay_is_over_is_passed_over(self, verbs: Verbs) -> None:
        held, first, second = verbs.claim(), verbs.claim(), verbs.claim()
        verbs.hold(held)
        gone, recorder = verbs.queue_up(first, stay=SHORT), verbs.queue_up(second)
        outlive()
        verbs.release(held)
        recorder.turn()
        assert not gone.notified

    def test_a_waiter_whose_stay_is_over_is_not_shown(self, verbs: Verbs) -> None:
        first, second = verbs.claim(), verbs.claim()
        verbs.hold(verbs.claim())
        verbs.queue_up(first, stay=SHORT)
        verbs.queue_up(second)
        outlive()
        assert verbs.waiting() == [second.token]
        assert [hold.waiters for hold in verbs.backend.inspect("a")[0]] == [1]

    def test_a_waiter_that_cancels_leaves_no_trace(self, verbs: Verbs) -> None:
        held, first = verbs.claim(), verbs.claim()
        verbs.hold(held)
        recorder = verbs.queue_up(first)
        verbs.cancel(first)
        assert verbs.waiting() == []
        verbs.release(held)
        assert verbs.holders() == []
        assert not recorder.notified

    def test_a_turn_for_a_waiter_that_has_gone_is_passed_on(self, verbs: Verbs) -> None:
        held, first, second = verbs.claim(), verbs.claim(), verbs.claim()
        verbs.hold(held)
        gone, recorder = verbs.queue_up(first), verbs.queue_up(second)
        verbs.backend.waiters.leave(first.name, first.token)
        verbs.release(held)
        recorder.turn()
        wait_until(lambda: verbs.holders() == [second.token])
        assert not gone.notified

    # Cancelling.

    def test_cancel_ends_a_hold_and_hands_it_over(self, verbs: Verbs) -> None:
        held, first = verbs.claim(), verbs.claim()
        verbs.hold(held)
        recorder = verbs.queue_up(first)
        verbs.cancel(held)
        recorder.turn()

    def test_cancel_may_end_a_wait_and_no_hold(self, verbs: Verbs) -> None:
        held, first = verbs.claim(), verbs.claim()
        verbs.hold(held)
        verbs.queue_up(first)
        verbs.cancel(first, keep_hold=True)
        verbs.cancel(held, keep_hold=True)
        assert (verbs.waiting(), verbs.holders()) == ([], [held.token])

    def test_an_acquire_that_comes_after_its_cancel_is_refused(self, verbs: Verbs) -> None:
        claim = verbs.claim()
        verbs.cancel(claim, late=LONG)
        assert verbs.is_busy(claim)
        assert isinstance(verbs.acquire(claim, LONG), Busy)
        assert verbs.waiting() == verbs.holders() == []
        verbs.hold(verbs.claim())

    def test_but_not_for_ever(self, verbs: Verbs) -> None:
        claim = verbs.claim()
        verbs.cancel(claim, late=SHORT)
        outlive()
        verbs.hold(claim)
