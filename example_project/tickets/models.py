"""Models of the ticket office: one sale as it is often written, and one under a row lock."""

from __future__ import annotations

import time

from django.conf import settings
from django.db import models, transaction

from django_redislock import FenceField, LockableMixin


class Event(LockableMixin, models.Model):
    """An event with ``tickets`` for sale, of which ``stock`` are left."""

    name = models.CharField(max_length=100)
    tickets = models.PositiveIntegerField("tickets for sale", default=50)
    stock = models.PositiveIntegerField("stock left", default=50)
    guarded = models.BooleanField("sold under a lock", default=True)
    fence = FenceField()

    def __str__(self) -> str:
        return self.name

    def sell(self, buyer: str) -> Ticket | None:
        """Sell a ticket the way it is often written: read, charge, write. None: sold out.

        A buyer that reads the stock while another buyer's card is being charged gets a ticket
        that is already sold.
        """
        if self.stock < 1:
            return None
        charge_the_card()
        self.stock -= 1
        with transaction.atomic():
            self.save(update_fields=["stock"])
            return self.ticket_set.create(buyer=buyer)

    def sell_guarded(self, buyer: str) -> Ticket | None:
        """Make the same sale, but one at a time per event, across all processes."""
        with self.locked(wait=30, lease=3, label=buyer):
            self.take_over()
            return self.sell(buyer)

    def take_over(self) -> None:
        """Write our fence to the row, which from now on refuses writes of earlier holders."""
        self.save(update_fields=["fence"])
        self.refresh_from_db()

    def restock(self, tickets: int) -> None:
        """Take all tickets back and put ``tickets`` of them on sale."""
        with self.locked(wait=30, lease=3), transaction.atomic():
            self.ticket_set.all().delete()
            self.tickets = self.stock = tickets
            self.save()


class Ticket(models.Model):
    """A ticket that has been paid for."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE)
    buyer = models.CharField(max_length=100)
    sold_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.event}: {self.buyer}"


def charge_the_card() -> None:
    """Stand in for a payment provider's answer."""
    time.sleep(settings.CHARGE_SECONDS)
