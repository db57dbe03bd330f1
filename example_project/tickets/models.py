from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Event(models.Model):
    """Something that a number of people can go to: ``tickets`` of them, ``stock`` of it left."""

    name = models.CharField(_("name"), max_length=100)
    tickets = models.PositiveIntegerField(_("tickets for sale"), default=100)
    stock = models.PositiveIntegerField(_("stock left"), default=100)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")

    def __str__(self) -> str:
        return self.name

    def sales(self) -> dict[str, int]:
        """The facts of the sale, the number sold being counted and not derived from the stock."""
        sold = self.ticket_set.count()
        return {
            "event": self.pk,
            "tickets": self.tickets,
            "sold": sold,
            "stock": self.stock,
            "oversold": max(0, sold - self.tickets),
        }


class Ticket(models.Model):
    """A ticket that somebody has paid for."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE, verbose_name=_("event"))
    buyer = models.CharField(_("buyer"), max_length=100)
    sold_at = models.DateTimeField(_("sold at"), auto_now_add=True)

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")

    def __str__(self) -> str:
        return f"{self.event}: {self.buyer}"
