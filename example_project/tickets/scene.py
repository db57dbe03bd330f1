"""Content of the page: the two sales, the state of each buyer, the holder, and the news."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db.models import Count
from django.utils.formats import date_format
from django.utils.timezone import localtime

from django_redislock import LockUnavailable, lock_backends
from django_redislock.backends.base import Hold, Waiting

from . import mishaps
from .answers import short_fence
from .buyers import Buyer, Rush, latest_rushes
from .models import Event
from .news import latest

Queue = tuple[Sequence[Hold], Sequence[Waiting]]


def events_side_by_side() -> list[Event]:
    """Return the event that is sold without a lock, and the one that is sold under a lock.

    ``sold`` is counted in the statement that reads the stock, because other processes may sell
    between two statements.
    """
    events = Event.objects.annotate(sold=Count("ticket"))
    return list(events.order_by("guarded", "pk")[:2])


def scene() -> dict[str, Any]:
    """Return plain values for the template and for JSON. ``unavailable`` is set without Redis."""
    # The answers are read before the database, so that the figures of a finished sale are complete.
    rushes = latest_rushes()
    answered = {event: list(rush.answered) for event, rush in rushes.items()}
    events = events_side_by_side()
    backend = lock_backends["default"]
    held, unavailable = 0, ""
    queues: dict[int, Queue] = {}
    try:
        held = backend.entries(0, 1).total
        queues = {e.pk: backend.inspect(e.get_lock_name()) for e in events if e.guarded}
    except LockUnavailable as error:
        unavailable = str(error)
    return {
        "pid": os.getpid(),
        "unavailable": unavailable,
        "held": held,
        "panes": [
            _pane(
                event,
                queues.get(event.pk, ((), ())),
                rushes.get(event.pk) or Rush(event.pk, 0, []),
                answered.get(event.pk, []),
            )
            for event in events
        ],
        "news": [
            {
                "number": report.number,
                "kind": report.kind,
                "time": date_format(localtime(report.time), "H:i:s"),
                "text": report.text,
            }
            for report in latest()
        ],
    }


def _pane(event: Any, queue: Queue, rush: Rush, answered: Sequence[Buyer]) -> dict[str, Any]:
    """Return one sale: its figures, its lock, and the buyers that wait, are inside, or are done."""
    holders = [hold.holder.label for hold in queue[0]]
    names = [*holders, *(waiter.holder.label for waiter in queue[1])]
    here = rush.waiting(names, answered)
    # Without a lock, all buyers are inside at once.
    inside = [one.number for one in here if one.name in holders or not event.guarded]
    done = _results(answered, event.tickets)
    waiting = [one.number for one in here if one.number not in inside]
    counts = Counter(result for _number, result in done)
    return {
        "event": event.pk,
        "name": event.name,
        "tickets": event.tickets,
        "stock": event.stock,
        "sold": event.sold,
        "oversold": max(0, event.sold - event.tickets),
        "guarded": event.guarded,
        "running": len(answered) < rush.size,
        "waiting": waiting,
        "inside": inside,
        "done": done,
        "counts": {**counts, "waiting": len(waiting), "inside": len(inside)},
        "lock": _lock(queue[0][0]) if queue[0] else None,
        "rush": rush.summary(),
    }


def _results(answered: Sequence[Buyer], tickets: int) -> list[tuple[int, str]]:
    """Return numbers and results of buyers; a sale beyond the last ticket is "oversold"."""
    results = []
    sold = 0
    for buyer in answered:
        sold += buyer.result == "sold"
        is_too_many = buyer.result == "sold" and sold > tickets
        results.append((buyer.number, "oversold" if is_too_many else buyer.result))
    return results


def _lock(hold: Hold) -> dict[str, Any]:
    return {
        "holder": hold.holder.label or hold.holder.what,
        "pid": hold.holder.pid,
        "fence": short_fence(hold.fence),
        "share": round(min(1.0, hold.remaining / hold.lease), 3),
        "lease": f"{hold.remaining:.1f} of {hold.lease:.0f} s",
        "state": mishaps.state_of(hold),
    }
