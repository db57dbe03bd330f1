from __future__ import annotations

from django.apps import AppConfig


class TicketsConfig(AppConfig):
    name = "example_project.tickets"
    verbose_name = "Ticket office"
