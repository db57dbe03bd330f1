"""Sale of the example, without its site."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from django_redislock import LockLost, lock_backends
from django_redislock.backends.base import Hold
from example_project.tickets import mishaps
from example_project.tickets.models import Event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def event() -> Event:
    return Event.objects.create(name="Concert", stock=2)


def test_a_former_holder_cannot_write_after_the_next_one_has_taken_over(event: Event) -> None:
    theirs = Event.objects.get(pk=event.pk)
    with pytest.raises(LockLost), event.locked() as held:
        event.take_over()
        assert lock_backends["default"].force_release(held.name, held.token)
        with theirs.locked(reentrant=False):
            theirs.take_over()
            late = Event.objects.filter(pk=event.pk, fence__lte=event.fence).update(stock=99)
    assert late == 0
    assert Event.objects.get(pk=event.pk).fence == theirs.fence > event.fence


def test_a_holder_that_takes_over_sees_earlier_writes(event: Event) -> None:
    with event.locked():
        Event.objects.update(stock=1)
        event.take_over()
        assert event.stock == 1


def test_no_more_tickets_are_sold_than_are_left(event: Event, settings: Any) -> None:
    settings.CHARGE_SECONDS = 0
    assert [bool(event.sell_guarded("Ada")) for _ in range(3)] == [True, True, False]
    event.refresh_from_db()
    assert (event.ticket_set.count(), event.stock) == (2, 0)


def test_a_mishap_waits_until_the_holder_has_taken_over(
    event: Event, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine a waiter may hold the lock for a while before it knows."""
    settings.CHARGE_SECONDS = 0.1
    monkeypatch.setattr(mishaps, "MOMENT_WITHIN", 0.2)
    find = mishaps._holder

    def a_moment_later(event: Event) -> Hold | None:
        hold = find(event)
        return hold and replace(hold, age=0.03)

    monkeypatch.setattr(mishaps, "_holder", a_moment_later)
    with event.locked() as held:
        with pytest.raises(mishaps.Impossible):
            mishaps._charging(event)
        event.take_over()
        monkeypatch.setattr(mishaps, "MOMENT_WITHIN", 60)
        assert mishaps._charging(event).token == held.token
