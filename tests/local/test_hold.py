"""A hold by itself, and as the renewal thread looks at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from django_redislock import Lock, LockLost, LockUnavailable, lock
from django_redislock.backends.base import Extension, Grant
from django_redislock.clock import monotonic
from django_redislock.handles.attempts import HandleNeed
from django_redislock.local.background import background
from django_redislock.local.hold import LocalHold, pause_of
from django_redislock.local.owners import SLACK, Owner, this_owner
from django_redislock.local.registry import registry
from django_redislock.local.renewal import BATCH_WINDOW, Renewal, _Renewed


@pytest.fixture
def begun() -> Iterator[Callable[..., tuple[LocalHold, Lock]]]:
    """Makes a hold of 10 s that no backend knows of, and the handle that needs it."""
    handles: list[Lock] = []

    def begin(*, renew: bool = True, confirmed: bool = True) -> tuple[LocalHold, Lock]:
        handle = lock("a", using="memory", renew=renew, lease=10)
        handles.append(handle)
        handle._need = HandleNeed(handle)
        assert handle._hold.begin(Grant(1, monotonic() + 2, confirmed=confirmed), handle._need)
        return handle._hold, handle

    yield begin
    for handle in handles:
        handle._need = None


@pytest.fixture
def extended(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The servers to which renewals were sent."""
    servers: list[Any] = []
    monkeypatch.setattr(background, "now", lambda server, job: servers.append(server))
    return servers


def look_at(hold: LocalHold, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what the renewal thread does, for this hold alone."""
    monkeypatch.setattr(registry, "holds", {hold: None})
    Renewal()._look_at_holds(monotonic())


def test_a_hand_over_is_confirmed_up_to_its_lease_even_if_it_is_not_renewed(begun: Any) -> None:
    hold, _handle = begun(renew=False, confirmed=False)
    assert hold.due < hold.ends
    assert hold.next_length(hold.since + 1) == pytest.approx(9)
    hold.answered("confirmation", hold.since + 10)
    assert hold.next_length(hold.since + 1) is None


def test_a_third_of_the_lease_passes_before_it_is_renewed(begun: Any) -> None:
    """Even if a hand-over has made it shorter, or an extension longer."""
    hold, _handle = begun(confirmed=False)
    assert hold.since <= hold.due < hold.ends
    hold.expect("extension", math.inf)
    hold.answered("extension", hold.since + 60)
    assert hold.due == pytest.approx(hold.since + 10 / 3, abs=1)


def test_the_mark_of_an_interrupted_leave_does_not_keep_others_from_joining(begun: Any) -> None:
    hold, handle = begun()
    other = HandleNeed(handle)
    hold._leavers[other] = None  # its call was interrupted here, and is finished now
    assert not hold.leave(other)
    third = HandleNeed(handle)
    assert hold.join(third)


def test_a_join_just_before_the_end_is_decided_is_refused(
    begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handle that leaves has found no other need by then, and ends the hold."""
    hold, handle = begun()
    joined, decide = [], LocalHold.decide

    def join_first(self: LocalHold) -> bool:
        joined.append(self.join(HandleNeed(handle)))
        return decide(self)

    monkeypatch.setattr(LocalHold, "decide", join_first)
    assert hold.leave(handle._need)
    assert joined == [False]


def test_a_long_lease_is_renewed_every_ten_seconds() -> None:
    assert [pause_of(lease) for lease in (3, 30, 3600)] == [1, 10, 10]


def test_a_hold_is_renewed_early_only_together_with_one_that_is_due(
    begun: Any, monkeypatch: pytest.MonkeyPatch, extended: list[Any]
) -> None:
    """Otherwise a very short lease would be renewed again and again without a pause."""
    (hold, _handle), (other, _other_handle) = begun(), begun()
    monkeypatch.setattr(registry, "holds", {hold: None, other: None})
    now = monotonic()
    hold.due = other.due = now + BATCH_WINDOW / 2
    assert Renewal()._look_at_holds(now) == hold.due
    assert extended == []
    other.due = now
    Renewal()._look_at_holds(now)
    assert extended == [hold.server]
    assert hold.due == hold.ends


def test_a_hold_is_renewed_while_a_handle_needs_it(
    begun: Any, monkeypatch: pytest.MonkeyPatch, extended: list[Any]
) -> None:
    hold, handle = begun()
    hold.due = monotonic()
    look_at(hold, monkeypatch)
    assert extended == [hold.server]
    handle._need = None
    hold.due = monotonic()
    look_at(hold, monkeypatch)
    assert extended == [hold.server]


def test_a_loss_that_was_interrupted_is_reported(
    begun: Any, monkeypatch: pytest.MonkeyPatch, extended: list[Any]
) -> None:
    """The reason was noted, but the waiters were not woken."""
    hold, _handle = begun()
    lost = hold.lost
    hold.lost_reason = "it was released by force"
    hold.decide()  # the caller that ends it reports nothing of this
    look_at(hold, monkeypatch)
    assert lost.wait(0)
    assert lost.reason == "it was released by force"
    assert extended == []


def test_a_renewal_that_arrives_after_the_release_reports_no_loss() -> None:
    handle = lock("a", using="memory")
    handle.acquire()
    handle.release()
    late = Extension("a", handle.token, 10, renewal=True)
    Renewal()._extend(handle.backend, [_Renewed(handle._hold, late, object())])
    assert not handle.lost


def test_a_process_forgets_the_holds_that_it_has_released() -> None:
    for number in range(SLACK + 2):
        with lock(f"forgotten:{number}", using="memory", token=f"{number:032x}"):
            pass
    assert len(this_owner().taken) <= SLACK
    registry.sweep()
    assert not [hold for hold in registry.given if hold.name.startswith("forgotten")]


def test_an_owner_of_many_holds_seldom_looks_for_those_that_are_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks, forget, owner = [], Owner.forget_released, Owner(None)
    monkeypatch.setattr(Owner, "forget_released", lambda one: looks.append(forget(one)))
    for number in range(20 * SLACK):
        owner.take(SimpleNamespace(lock_id=("here", f"{number}"), is_over=False))
    assert len(owner.taken) == 20 * SLACK
    assert 0 < len(looks) < 10


def test_renewals_that_fail_are_logged_once_in_each_outage(
    begun: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(extensions: Any) -> Any:
        raise LockUnavailable("the server is away")

    hold, handle = begun()
    monkeypatch.setattr(handle.backend, "extend_all", fail)
    renewal, again = Renewal(), Extension("a", hold.token, 10, renewal=True)

    def renew() -> None:
        hold.expect(request := object(), math.inf)
        renewal._extend(handle.backend, [_Renewed(hold, again, request)])

    for _ in range(3):
        renew()
    assert len(hold._claims) == 1, "an outage may take days"
    (record,) = caplog.records
    assert record.getMessage() == "1 lock(s) could not be renewed yet: the server is away"
    assert hold.alive
    with monkeypatch.context() as back:
        back.setattr(handle.backend, "extend_all", lambda extensions: [hold.ends])
        renew()
    renew()
    assert len(caplog.records) == 2


def test_a_handle_that_has_said_that_it_is_not_held_never_says_held_again(begun: Any) -> None:
    hold, handle = begun()
    hold.expect("renewal", hold.since + 10)
    hold._claims["grant"] = hold.since, None  # its lease ends before the answer comes
    assert not handle.held
    hold.answered("renewal", hold.since + 10)
    assert hold.ends > monotonic()
    with pytest.raises(LockLost, match="its lease ran out"):
        handle.check()


def test_two_requests_may_have_asked_for_the_same_end(begun: Any) -> None:
    hold, handle = begun()
    hold.expect("extension", hold.ends)
    assert handle.held
    assert hold.remaining() > 0
