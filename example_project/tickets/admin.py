from __future__ import annotations

from django.contrib import admin

from .models import Event, Ticket


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):
    list_display = ["name", "guarded", "tickets", "stock"]


@admin.register(Ticket)
class TicketAdmin(admin.ModelAdmin):
    list_display = ["pk", "event", "buyer", "sold_at"]
    list_filter = ["event"]
