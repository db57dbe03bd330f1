"""Extensions without an answer, which may have made the lease shorter."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import LockUnavailable
from django_redislock.backends.base import TICK
from django_redislock.clock import monotonic
from tests.support.processes import wait_until


def unanswered(extension: Any) -> Any:
    raise LockUnavailable("no answer in time", name="a")


def not_sent(extension: Any) -> Any:
    error = LockUnavailable("no connection is free", name="a")
    error.sent = False
    raise error


def test_a_lease_that_could_not_be_made_shorter_is_as_long_as_before(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = make(lease=3600)
    held.acquire()
    ends = held._hold.ends
    with monkeypatch.context() as patch:
        patch.setattr(held.backend, "extend", not_sent)
        with pytest.raises(LockUnavailable):
            held.extend(1)
    assert held._hold.ends >= ends
    held.release()


def test_no_code_relies_on_a_lease_for_longer_than_the_server_may_count_it(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers count in whole milliseconds."""
    held = make(lease=60)
    held.acquire()
    extend, relied_on = held.backend.extend, []

    def note(extension: Any) -> Any:
        relied_on.append(held._hold.ends <= monotonic() + 1 - TICK)
        return extend(extension)

    monkeypatch.setattr(held.backend, "extend", note)
    held.extend(1)
    held.release()
    assert relied_on == [True]


def test_a_lease_that_may_be_shorter_is_not_renewed(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hold is lost at the end of the shorter lease, whatever a renewal would achieve."""
    held = make(lease=60)
    held.acquire()
    token, extend_all, renewals = held.token, held.backend.extend_all, []

    def count(extensions: Any) -> Any:
        renewals.extend(one for one in extensions if one.token == token)
        return extend_all(extensions)

    with monkeypatch.context() as patch:
        patch.setattr(held.backend, "extend", unanswered)
        with pytest.raises(LockUnavailable):
            held.extend(0.8)
    monkeypatch.setattr(held.backend, "extend_all", count)
    wait_until(lambda: held.lost)
    assert renewals == []
    held.backend.release("a", token)


def test_a_lease_that_may_be_longer_is_renewed_as_before(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = make(lease=0.6)
    held.acquire()
    with monkeypatch.context() as patch:
        patch.setattr(held.backend, "extend", unanswered)
        with pytest.raises(LockUnavailable):
            held.extend(30)
    ends = held._hold.ends
    wait_until(lambda: held._hold.ends > ends)
    held.release()


def test_a_lease_that_may_have_become_shorter_counts_as_shorter(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = make(lease=1)
    held.acquire()
    held.extend(60)
    extend = held.backend.extend

    def answer_is_lost(extension: Any) -> Any:
        extend(extension)
        return unanswered(extension)

    with monkeypatch.context() as patch:
        patch.setattr(held.backend, "extend", answer_is_lost)
        with pytest.raises(LockUnavailable):
            held.extend(2)
    ends = held._hold.ends
    assert held.remaining() <= 2
    wait_until(lambda: held._hold.ends > ends or held.lost, what="it is renewed, or known as lost")
    assert held.held
    held.release()
