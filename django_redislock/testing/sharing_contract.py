"""Contract of every lock backend, second part: several holders, and the views of operators."""

# ruff: noqa: S101 - these are tests

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from django_redislock.backends.base import SHARED, Entry, Extension
from django_redislock.exceptions import LockError
from django_redislock.testing.driver import LONG, SHORT, Verbs, outlive, wait_until

__all__ = ["SharingContract"]


class SharingContract:
    """Inherited by ``BackendContract``."""

    # Several holders at once.

    def test_a_limit_admits_that_many_holders(self, verbs: Verbs) -> None:
        claims = [verbs.claim(limit=3) for _ in range(4)]
        for claim in claims[:3]:
            verbs.hold(claim)
        recorder = verbs.queue_up(claims[3])
        assert sorted(verbs.holders()) == sorted(claim.token for claim in claims[:3])
        verbs.release(claims[1])
        recorder.turn()

    def test_every_limit_is_kept_also_the_strictest(self, verbs: Verbs) -> None:
        strict, loose = verbs.claim(limit=2), verbs.claim(limit=9)
        verbs.hold(loose)
        verbs.hold(strict)
        assert verbs.is_busy(verbs.claim(limit=9))
        verbs.release(strict)
        verbs.hold(verbs.claim(limit=9))
        verbs.hold(verbs.claim(limit=9))
        verbs.hold(verbs.claim("b"))
        assert verbs.is_busy(verbs.claim("b", limit=9))

    def test_readers_share_and_a_writer_waits_for_them_all(self, verbs: Verbs) -> None:
        readers = [verbs.claim(limit=SHARED) for _ in range(3)]
        for reader in readers:
            verbs.hold(reader)
        recorder = verbs.queue_up(verbs.claim())
        assert verbs.is_busy(verbs.claim(limit=SHARED)), "a writer is ahead of this reader"
        for reader in readers:
            assert not recorder.notified
            verbs.release(reader)
        recorder.turn()

    def test_a_release_wakes_all_readers_up_to_the_next_writer(self, verbs: Verbs) -> None:
        held = verbs.claim()
        verbs.hold(held)
        limits = (SHARED, SHARED, 1, SHARED)
        recorders = [verbs.queue_up(verbs.claim(limit=limit)) for limit in limits]
        verbs.release(held)
        assert recorders[0].turn().fence < recorders[1].turn().fence
        assert not recorders[2].notified
        assert not recorders[3].notified
        assert all(hold.shared for hold in verbs.backend.inspect("a")[0])

    # A token that already holds the name.

    def test_a_stricter_claim_of_the_same_token_needs_room(self, verbs: Verbs) -> None:
        mine, beside = verbs.claim(limit=3), verbs.claim(limit=3)
        fence = verbs.hold(mine).fence
        verbs.hold(beside)
        with pytest.raises(LockError, match="looser limit"):
            verbs.acquire(replace(mine, limit=1))
        with pytest.raises(LockError, match="looser limit"):
            verbs.acquire(replace(mine, limit=1), LONG)
        assert sorted(verbs.holders()) == sorted([mine.token, beside.token])
        assert verbs.waiting() == []
        verbs.hold(replace(mine, limit=2))
        verbs.release(beside)
        assert verbs.hold(replace(mine, limit=1)).fence == fence
        assert verbs.is_busy(verbs.claim(limit=3))

    def test_a_looser_claim_of_the_same_token_lets_others_in(self, verbs: Verbs) -> None:
        mine, other = verbs.claim(), verbs.claim(limit=SHARED)
        verbs.hold(mine)
        recorder = verbs.queue_up(other)
        verbs.hold(replace(mine, limit=SHARED))
        recorder.turn()
        assert sorted(verbs.holders()) == sorted([mine.token, other.token])

    def test_a_repeated_claim_shortens_the_lease_of_a_detached_hold_only(
        self, verbs: Verbs
    ) -> None:
        for name, limit in (("a", 1), ("b", 2)):
            claims = [verbs.claim(name, limit=limit, lease=LONG) for _ in range(limit)]
            for claim in claims:
                verbs.hold(claim)
            for detached in (False, True):
                verbs.extend(Extension(name, claims[0].token, 3 * LONG, detached=detached))
                verbs.hold(claims[0])
                left = {hold.token: hold.remaining for hold in verbs.backend.inspect(name)[0]}
                assert (left[claims[0].token] <= LONG) == detached

    def test_a_waiter_that_asks_again_gets_what_it_asks_for_now(self, verbs: Verbs) -> None:
        # It asks once more without staying, as another handle with its token may do.
        mine = verbs.claim()
        verbs.hold(verbs.claim(limit=2))
        verbs.queue_up(mine)
        verbs.hold(replace(mine, limit=2, lease=3 * LONG))
        (hold,) = (one for one in verbs.backend.inspect("a")[0] if one.token == mine.token)
        assert (hold.limit, hold.lease) == (2, 3 * LONG)
        assert hold.remaining > 2 * LONG
        assert verbs.waiting() == []

    # Listings of holders and waiters.

    def test_it_is_shown_when_an_attempt_began_and_that_a_hold_is_detached(
        self, verbs: Verbs
    ) -> None:
        held, waiter = verbs.claim(), verbs.claim()
        verbs.hold(held)
        recorder = verbs.queue_up(waiter)
        verbs.extend(Extension("a", held.token, LONG, detached=True))
        (hold,), (waiting,) = verbs.backend.inspect("a")
        assert hold.detached
        assert hold.began is not None
        assert hold.began <= hold.since < hold.began + timedelta(seconds=LONG)
        outlive()
        verbs.acquire(waiter, stay=LONG)  # it looks again
        verbs.release(held)
        recorder.turn()
        (hold,), _ = verbs.backend.inspect("a")
        assert (hold.began, hold.detached) == (waiting.since, False)
        assert hold.since > waiting.since

    def test_names_are_listed_while_they_are_waited_for(self, verbs: Verbs) -> None:
        claims = [verbs.claim(f"name {number}") for number in range(12)]
        waiters = [verbs.claim(claim.name) for claim in claims]
        for claim, waiter in zip(claims, waiters, strict=True):
            verbs.hold(claim)
            assert verbs.backend.waited_for().total == int(claim.name[5:])
            verbs.queue_up(waiter)
        verbs.queue_up(verbs.claim("name 0"))
        outlive()
        pages = [verbs.backend.waited_for(start, start + 5) for start in range(0, 15, 5)]
        assert {page.total for page in pages} == {12}
        found = [one for page in pages for one in page.names]
        assert {one.name: one.waiters for one in found} == {
            claim.name: 2 if claim.name == "name 0" else 1 for claim in claims
        }
        assert all(SHORT < one.longest_wait < LONG for one in found)
        for claim, waiter in zip(claims[1:], waiters[1:], strict=True):
            verbs.cancel(waiter) if claim.name < "name 4" else verbs.release(claim)
        assert [one.name for one in verbs.backend.waited_for().names] == ["name 0"]

    def test_force_release_ends_the_hold_that_was_seen(self, verbs: Verbs) -> None:
        lost: list[str] = []
        verbs.backend.on_force_release = lambda place, name, token: lost.append(token)
        held, first = verbs.claim(), verbs.claim()
        verbs.hold(held)
        recorder = verbs.queue_up(first)
        # The holder's process listens by now, as it has waited for this name.
        verbs.acquire(held)
        assert verbs.backend.force_release("a", held.token)
        recorder.turn()
        wait_until(lambda: lost == [held.token])
        assert not verbs.backend.force_release("a", held.token), (
            "a stale token must not end the successor's hold"
        )
        assert verbs.holders() == [first.token]

    def test_force_release_notifies_the_process_of_a_hold_without_waiters(
        self, verbs: Verbs
    ) -> None:
        lost: list[str] = []
        verbs.backend.on_force_release = lambda place, name, token: lost.append(token)
        before, waiter, held = verbs.claim(), verbs.claim(), verbs.claim()
        verbs.hold(before)
        verbs.queue_up(waiter)  # the process listens from now on
        verbs.cancel(waiter)
        verbs.release(before)
        verbs.hold(held)
        assert not verbs.backend.force_release("a", before.token)
        assert verbs.backend.force_release("a", held.token)
        wait_until(lambda: lost == [held.token])
        assert verbs.holders() == []
        assert verbs.backend.list().total == 0

    def test_inspect_returns_holders_and_waiters(self, verbs: Verbs) -> None:
        held, first = verbs.claim(limit=2, lease=LONG), verbs.claim(limit=1)
        grant = verbs.hold(held)
        verbs.queue_up(first)
        (hold,), (waiting,) = verbs.backend.inspect("a")
        assert (hold.name, hold.token, hold.fence, hold.limit) == ("a", held.token, grant.fence, 2)
        assert (hold.lease, hold.waiters, hold.holder.what) == (LONG, 1, held.token)
        assert LONG - 5 < hold.remaining <= LONG
        assert (waiting.token, waiting.limit, waiting.holder.what) == (first.token, 1, first.token)
        assert hold.since <= waiting.since
        assert hold.since.tzinfo is not None

    def test_a_list_has_pages_and_begins_with_what_ends_soonest(self, verbs: Verbs) -> None:
        verbs.hold(verbs.claim("over", lease=SHORT))
        names = [f"name {number}" for number in range(30)]
        for place, name in enumerate(names):
            verbs.hold(verbs.claim(name, lease=LONG + place))
        outlive()
        pages = [verbs.backend.list(start, start + 7) for start in range(0, 35, 7)]
        assert {page.total for page in pages} == {30}
        assert [hold.name for page in pages for hold in page.holds] == names
        assert verbs.backend.list(30, 40).holds == []
        entries, total, _ = verbs.backend.entries(28, 40)
        assert ([entry.name for entry in entries], total) == (names[28:], 30)
        assert all(LONG < entry.remaining <= LONG + 29 for entry in entries)

    def test_a_walk_meets_each_live_hold_once(self, verbs: Verbs) -> None:
        verbs.hold(verbs.claim("over", lease=SHORT))
        claims = [verbs.claim(f"name {number}", limit=2) for number in range(20)]
        claims += [verbs.claim("name 0", limit=2)]
        for claim in claims:
            verbs.hold(claim)
        outlive()
        met = [entry for some in verbs.backend.walk() for entry in some]
        assert sorted((one.name, one.token) for one in met) == sorted(
            (claim.name, claim.token) for claim in claims
        )

    def test_what_is_looked_up_comes_in_order_and_is_live(self, verbs: Verbs) -> None:
        claims = [verbs.claim(name) for name in "abc"]
        for claim in claims:
            verbs.hold(claim)
        verbs.queue_up(verbs.claim("c"))
        entries = [Entry(claim.name, claim.token, LONG) for claim in claims]
        verbs.release(claims[1])
        first, last = verbs.backend.look_up(entries)
        assert (first.token, last.token) == (claims[0].token, claims[2].token)
        assert (first.waiters, first.longest_wait, first.held) == (0, 0.0, 1)
        outlive()
        for hold in (*verbs.backend.look_up(entries[2:]), *verbs.backend.inspect("c")[0]):
            assert hold.waiters == 1
            assert SHORT < hold.longest_wait <= hold.age < LONG

    def test_holds_are_found_by_their_names_alone(self, verbs: Verbs) -> None:
        claims = [verbs.claim(name) for name in "abc"] + [verbs.claim("s", limit=3) for _ in "12"]
        over = verbs.claim("s", limit=3, lease=SHORT)
        for claim in (*claims, over):
            verbs.hold(claim)
        verbs.release(claims[1])
        outlive()
        entries = verbs.backend.entries_of(["s", "b", "absent", "c"])
        assert [entry.name for entry in entries] == ["s", "s", "c"]
        assert {entry.token for entry in entries} == {one.token for one in claims[2:]}
        assert all(SHORT < entry.remaining <= LONG for entry in entries)
        found = verbs.backend.look_up(entries)
        assert [hold.token for hold in found] == [entry.token for entry in entries]
        assert verbs.backend.entries_of([]) == []

    def test_a_lease_that_is_shorter_than_was_asked_for_is_shown(self, verbs: Verbs) -> None:
        for name, limit in (("a", 1), ("b", 2)):
            claims = [verbs.claim(name, limit=limit) for _ in range(limit)]
            for claim in claims:
                verbs.hold(claim)
            for lease, term in ((LONG / 2, LONG / 2), (LONG, None)):
                verbs.extend(Extension(name, claims[0].token, lease))
                shown = {hold.token: hold.term for hold in verbs.backend.inspect(name)[0]}
                assert shown == {claim.token: None for claim in claims} | {claims[0].token: term}

    def test_many_names_are_inspected_like_one(self, verbs: Verbs) -> None:
        held, waiting = verbs.claim("a"), verbs.claim("a")
        verbs.hold(held)
        verbs.queue_up(waiting)
        (nobody, nothing), (holds, queue) = verbs.backend.inspect_all(["absent", "a"])
        assert (list(nobody), list(nothing)) == ([], [])
        assert ([one.token for one in holds], [one.token for one in queue]) == (
            [held.token],
            [waiting.token],
        )
        assert list(verbs.backend.inspect_all([])) == []

    def test_a_hold_says_how_many_hold_its_name(self, verbs: Verbs) -> None:
        over = verbs.claim(limit=3, lease=SHORT)
        verbs.hold(over)
        for _ in range(2):
            verbs.hold(verbs.claim(limit=3))
        outlive()
        assert list(verbs.backend.look_up([Entry("a", over.token, LONG)])) == []
        for holds in (verbs.backend.list().holds, verbs.backend.inspect("a")[0]):
            assert [hold.held for hold in holds] == [2, 2]

    def test_many_are_released_by_force_each_by_its_token(self, verbs: Verbs) -> None:
        claims = [verbs.claim(f"name {number}") for number in range(5)]
        for claim in claims:
            verbs.hold(claim)
        recorder = verbs.queue_up(verbs.claim("name 3"))
        seen = [(claim.name, claim.token) for claim in claims]
        seen[1] = ("name 1", "stranger")
        hits = list(verbs.backend.force_release_all(seen))
        assert hits == [True, False, True, True, True]
        recorder.turn()
        assert verbs.holders("name 1") == [claims[1].token]
        assert verbs.backend.list().total == 2
