"""Faults that interrupt a caller in the middle of an operation."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.faults.causes.fault import Fault


class Cancel(Fault):
    """Tasks are cancelled at any moment."""

    name = "cancel"
    injection = "cancellations"
    threads, tasks = 1, 8


class CancelStorm(Fault):
    """All tasks of an event loop are cancelled at once, three times a second."""

    name = "cancel-storm"
    injection = "storm"
    processes, threads, tasks = 2, 1, 30


class Alarm(Fault):
    """A signal handler raises in the main thread at any moment."""

    name = "alarm"
    injection = "alarms"
    processes, threads, tasks = 4, 2, 1


class AsynchronousExceptions(Fault):
    """Exceptions are set in threads from outside at any moment."""

    name = "async-exceptions"
    injection = "asynchronous"
    threads, tasks = 5, 1


class GeventTimeouts(Fault):
    """`gevent.Timeout` ends operations of greenlets, with a pool of fewer connections."""

    name = "gevent-timeout"
    injection = "gevent"
    greenlets = True
    processes, threads, tasks = 2, 20, 0
    pool: ClassVar[dict[str, Any]] = {"max_connections": 10}
