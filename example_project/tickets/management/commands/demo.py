from __future__ import annotations

import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_redislock import lock_backends
from example_project.tickets.management.numbers import whole_number


class Command(BaseCommand):
    help = (
        "Sell tickets to many buyers at once through several server processes, without and with "
        "a lock, compare the results, and serve the site. Redis is an embedded server unless "
        "REDIS_URL is set; the database is deleted at the end unless DATABASE_URL is set."
    )
    # The checks would connect to the Redis of the settings, but the demo starts its own.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--tickets", type=whole_number(1, 99_999), default=50, help="default: 50"
        )
        parser.add_argument(
            "--buyers", type=whole_number(1, 99_999), default=100, help="default: 100"
        )
        parser.add_argument(
            "--servers",
            type=whole_number(1, 99),
            default=4,
            help="server processes that sell; default: 4",
        )
        parser.add_argument(
            "--port",
            type=whole_number(1, 65_535),
            default=8000,
            help="port of the site served at the end; default: 8000, or a free one if it is taken",
        )
        parser.add_argument(
            "--no-serve",
            action="store_true",
            help="end after the results, with exit code 0 only if the guarded sale was exact",
        )

    def handle(self, **options: Any) -> None:
        try:
            from rich.console import Console

            from example_project.demo import runner
        except ImportError as error:
            raise CommandError(
                f'{error}. The demo needs: pip install "django-redislock[example]"'
            ) from error
        _ = lock_backends["default"]  # raises InvalidLockBackend if REDIS_URL makes no sense
        port = None if options["no_serve"] else options["port"]
        chosen = runner.Options(options["tickets"], options["buyers"], options["servers"], port)
        # A shell starts background jobs with SIGINT ignored, but it must work there, too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            exact = runner.run(chosen, Console())
        except runner.FAILURES as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        if not exact:
            raise CommandError("The guarded sale was not exact.")
