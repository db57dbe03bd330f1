from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_redislock import LockError, LockUnavailable, lock
from django_redislock.testing.launcher import SupervisedProcess
from example_project.tickets.management.numbers import whole_number

WAIT = 5.0  # seconds; the longest wait of any task
BUYERS = ("alice", "bob", "chidi", "dana", "émile", "福子")


class Command(BaseCommand):
    help = (
        "Keep the admin page of the live locks busy: short and long holds, queues, "
        "semaphores, readers and a writer, in several processes, until Ctrl-C."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--processes", type=whole_number(1, 999), default=3, help="default: 3")
        parser.add_argument(
            "--threads",
            type=whole_number(1, 999),
            default=8,
            help="threads of each process; default: 8",
        )
        parser.add_argument("--seconds", type=float, default=None, help="stop after this time")

    def handle(
        self,
        *,
        processes: int,
        threads: int,
        seconds: float | None,
        verbosity: int,
        **options: object,
    ) -> None:
        ends = time.monotonic() + seconds if seconds is not None else float("inf")
        stopped = threading.Event()
        # Not ``stopped.set``: the main thread may have the mutex of the event at that moment.
        signals: list[int] = []
        # A shell starts background jobs with SIGINT ignored, but it must work there, too.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _frame: signals.append(number))
        others = [_another(threads) for _number in range(processes - 1)]
        failures: list[LockUnavailable] = []
        workers = [
            threading.Thread(target=_work, args=(stopped, failures), name=f"worker-{number}")
            for number in range(threads)
        ]
        for worker in workers:
            worker.start()
        while time.monotonic() < ends and not failures and not signals:
            time.sleep(0.1)
        if verbosity and signals:
            self.stderr.write("Stopping; the held locks are released.")
        stopped.set()
        for other in others:
            with suppress(ProcessLookupError):
                other.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.join()
        for other in others:
            other.stop()
        if failures:
            raise CommandError(str(failures[0]))


def _another(threads: int) -> SupervisedProcess:
    """Start another process, which ends with this one, even if this one is killed."""
    command = [sys.executable, sys.argv[0], "traffic", "--processes", "1", "--verbosity", "0"]
    # A thread that is queueing when the process is to end still waits for up to WAIT.
    return SupervisedProcess([*command, "--threads", str(threads)], grace=WAIT + 5)


def _work(stopped: threading.Event, failures: list[LockUnavailable]) -> None:
    tasks: list[Callable[[threading.Event], None]] = [_buy, _buy, _report, _quota, _read, _write]
    while not stopped.is_set():
        try:
            random.choice(tasks)(stopped)
        except LockUnavailable as error:
            failures.append(error)
            return
        except LockError:
            # Busy for too long, or released by force in the admin: both are expected here.
            continue


def _buy(stopped: threading.Event) -> None:
    with lock(f"seat:{random.randint(1, 12)}", wait=WAIT, label=random.choice(BUYERS)):
        stopped.wait(random.expovariate(2))


def _report(stopped: threading.Event) -> None:
    with lock("nightly-report", wait=2, lease=30, what="manage.py nightly_report"):
        stopped.wait(random.uniform(5, 20))


def _quota(stopped: threading.Event) -> None:
    with lock("api", limit=3, wait=WAIT, label=random.choice(BUYERS)):
        stopped.wait(random.uniform(0.5, 3))


def _read(stopped: threading.Event) -> None:
    with lock("catalogue", shared=True, wait=WAIT, label=random.choice(BUYERS)):
        stopped.wait(random.uniform(0.5, 2))


def _write(stopped: threading.Event) -> None:
    with lock("catalogue", wait=3, what="manage.py import_catalogue"):
        stopped.wait(1)
