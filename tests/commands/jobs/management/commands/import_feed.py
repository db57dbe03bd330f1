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
        time.sleep(seconds)
        self.stdout.write("done")
