from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandParser

from django_redislock.commands import LockedCommand


class Command(LockedCommand):
    requires_system_checks: list[str] = []
    lock_options = {"lease": 60}

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=0.0)

    def handle(self, *, seconds: float, **options: Any) -> None:
        self.stdout.write("at work")
        self.stdout.flush()
        # In slices: a signal that comes just before a sleep begins is handled after it.
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.05)
        self.stdout.write("done")
