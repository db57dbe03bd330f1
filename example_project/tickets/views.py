"""The ticket office: the same sale without and with a lock, and the lock as a ``with`` block."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import BadRequest
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from django_redislock import LockUnavailable, lock, lock_backends, locked_view

from .answers import answer
from .models import Event


def buy_unguarded(request: HttpRequest, event_id: int) -> HttpResponse:
    """Sell a ticket the way it is often written: read, charge, write.

    Whoever reads the stock while another's card is being charged sees a ticket that is gone.
    """
    event = get_object_or_404(Event, pk=event_id)
    if event.stock < 1:
        return answer(request, 409, "sold_out", _("Sold out."))
    charge_the_card()
    event.stock -= 1
    event.save(update_fields=["stock"])
    ticket = event.ticket_set.create(buyer=request.POST.get("buyer") or _("A visitor"))
    text = _("Sold: ticket %(number)d for %(buyer)s.")
    return answer(
        request, 200, "sold", text % {"number": ticket.pk, "buyer": ticket.buyer}, ticket=ticket.pk
    )


@locked_view("event:{event_id}", wait=30)
def buy_guarded(request: HttpRequest, event_id: int) -> HttpResponse:
    """The same sale, one at a time for each event, whichever process it comes to."""
    return buy_unguarded(request, event_id)


@require_POST
def buy(request: HttpRequest) -> HttpResponse:
    """Sell a ticket, under the lock unless the form says ``guarded=no``."""
    sell = buy_unguarded if request.POST.get("guarded") == "no" else buy_guarded
    return sell(request, event_id=number(request, "event"))


@require_POST
def process(request: HttpRequest) -> HttpResponse:
    """Lock, do the heavy work, release. Who comes meanwhile does not wait, and is told so."""
    with lock("report", wait=0, label=request.user.get_username()) as held:
        do_the_heavy_work(held.check)
    text = _("The report is done. It was made under lock “report” with fence %(fence)d.")
    return answer(request, 200, "done", text % {"fence": held.fence}, fence=held.fence)


@require_safe
def office(request: HttpRequest) -> HttpResponse:
    """The page: the sale, the buttons, and who holds what."""
    event = Event.objects.first()
    context = {
        "event": event,
        "sales": event.sales() if event else None,
        "latest": event.ticket_set.order_by("-pk")[:5] if event else [],
        "pid": os.getpid(),
        "report_seconds": settings.REPORT_SECONDS,
        "live": "live" in request.GET,
    }
    try:
        context["locks"] = lock_backends["default"].list(stop=50)
    except LockUnavailable as error:
        context["locks_error"] = error
    return render(request, "tickets/office.html", context)


@require_safe
def stock(request: HttpRequest) -> JsonResponse:
    """The facts of the sale, for programs."""
    return JsonResponse(get_object_or_404(Event.objects.all()[:1]).sales())


@require_POST
def restock(request: HttpRequest) -> HttpResponse:
    """Take all tickets back and put ``tickets`` of them on sale."""
    tickets = number(request, "tickets")
    with lock(f"event:{number(request, 'event')}"), transaction.atomic():
        event = get_object_or_404(Event, pk=number(request, "event"))
        event.ticket_set.all().delete()
        event.tickets = event.stock = tickets
        event.save()
    text = _("%(tickets)d tickets are on sale.")
    return answer(request, 200, "restocked", text % {"tickets": tickets}, **event.sales())


def number(request: HttpRequest, field: str) -> int:
    """A whole number from the form; anything else is a bad request."""
    value = request.POST.get(field, "")
    if not value.isdecimal() or len(value) > 9:
        raise BadRequest(f"{field!r} must be a whole number.")
    return int(value)


def charge_the_card() -> None:
    """Stand in for a payment provider's answer."""
    time.sleep(settings.CHARGE_SECONDS)


def do_the_heavy_work(check: Callable[[], None]) -> None:
    """Stand in for heavy work, in steps: between them ``check`` raises if the lock was lost."""
    end = time.monotonic() + settings.REPORT_SECONDS
    while (left := end - time.monotonic()) > 0:
        check()
        time.sleep(min(0.1, left))
