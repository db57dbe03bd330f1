"""Views of the ticket office: the sale without and with a lock, and a lock in a ``with`` block."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from django_redislock import LockLost, lock

from . import mishaps, news
from .answers import answer, short_fence
from .buyers import Rush, send
from .models import Event
from .scene import events_side_by_side, scene

MISHAPS = {
    "kill": mishaps.kill,
    "freeze": mishaps.freeze,
    "thaw": mishaps.thaw,
    "release": mishaps.release,
}


@require_POST
def buy(request: HttpRequest) -> HttpResponse:
    """Sell a ticket of an event, under its lock if the event is guarded."""
    event = get_object_or_404(Event, pk=number(request, "event"))
    sell = event.sell_guarded if event.guarded else event.sell
    try:
        ticket = sell(request.POST.get("buyer") or "A visitor")
    except LockLost as error:
        return answer(request, 409, "lost", f"{error} {overtaken(event)}".strip())
    if ticket is None:
        return answer(request, 409, "sold_out", "Sold out.")
    text = f"Sold: ticket {ticket.pk} for {ticket.buyer}."
    return answer(request, 200, "sold", text, ticket=ticket.pk)


@require_POST
def process(request: HttpRequest) -> HttpResponse:
    """Do heavy work under a lock. A second request does not wait; it gets a busy answer."""
    with lock("report", wait=0, label=request.user.get_username()) as held:
        do_the_heavy_work(held.check)
    text = f"The report is done. It was made under lock “report” with fence {held.fence}."
    return answer(request, 200, "done", text, fence=held.fence)


@require_safe
def office(request: HttpRequest) -> HttpResponse:
    """Show the page. A script keeps it up to date; without scripts it shows the current state."""
    context = {**scene(), "report_seconds": settings.REPORT_SECONDS}
    return render(request, "tickets/office.html", context)


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Return the content of the page, for its script and for programs."""
    return JsonResponse(scene())


@require_POST
def rush(request: HttpRequest) -> HttpResponse:
    """Put ``tickets`` of each event on sale, and send ``buyers`` to each at once."""
    size, tickets = number(request, "buyers"), number(request, "tickets")
    events = events_side_by_side()
    offices = settings.BOX_OFFICES or [request.get_host()]

    def prepare() -> None:
        for event in events:
            event.restock(tickets)
        news.clear()

    try:
        send([Rush(event.pk, size, offices) for event in events], prepare)
    except RuntimeError:
        text = "The last buyers have not been answered yet. Is a process frozen?"
        return answer(request, 409, "busy", text)
    return answer(request, 200, "sent", f"{size} buyers were sent.")


@require_POST
def mishap(request: HttpRequest) -> HttpResponse:
    """Cause a mishap for the holder of a lock. ``kind`` is one of MISHAPS."""
    happen = MISHAPS.get(request.POST.get("kind", ""))
    if happen is None:
        raise BadRequest("There is no such mishap.")
    event = get_object_or_404(Event, pk=number(request, "event"))
    try:
        happen(event)
    except mishaps.Impossible as impossible:
        return answer(request, 409, "impossible", str(impossible))
    return answer(request, 200, "done", "Done: see what happens.")


def overtaken(event: Event) -> str:
    """Say which later fence the row has, if a later holder has written it; else nothing."""
    row = Event.objects.get(pk=event.pk)
    if row.fence <= event.fence:
        return ""
    later, mine = short_fence(row.fence), short_fence(event.fence)
    return f"The row already has fence {later}, and refuses {mine}."


def number(request: HttpRequest, field: str) -> int:
    """Return a whole number from the form; anything else is a bad request."""
    value = request.POST.get(field, "")
    if not value.isdecimal() or len(value) > 5:
        raise BadRequest(f"{field!r} must be a whole number.")
    return int(value)


def do_the_heavy_work(check: Callable[[], None]) -> None:
    """Stand in for heavy work in steps. Between them, ``check`` raises if the lock was lost."""
    end = time.monotonic() + settings.REPORT_SECONDS
    while (left := end - time.monotonic()) > 0:
        check()
        time.sleep(min(0.1, left))
