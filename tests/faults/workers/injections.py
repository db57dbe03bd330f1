"""Injections: faults that a worker causes within itself, in the middle of operations."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import threading
import time
from contextlib import suppress
from random import Random
from types import FrameType
from typing import TYPE_CHECKING

from django_redis import get_redis_connection
from redis.exceptions import ConnectionError as RedisConnectionError

if TYPE_CHECKING:
    from tests.faults.workers.workload import Actor

Interruptions = tuple[type[BaseException], ...]


class HardInterruption(BaseException):
    """Raised at random, as KeyboardInterrupt and rq's time limit are."""


class SoftInterruption(Exception):
    """Raised at random, as Celery's soft time limit is."""


class Injection:
    """The base of all injections, without a fault. Each operation of a thread runs between `arm`
    and `disarm`.
    """

    interruptions: Interruptions = ()

    def __init__(self, random: Random) -> None:
        self.random = random

    def start(self, actors: list[Actor]) -> None:
        """Prepare the injection. Called once, in the main thread, with the actors in threads."""

    def arm(self, actor: Actor) -> None:
        """Schedule an interruption of the operation that begins, or not."""

    def disarm(self, actor: Actor) -> None:
        """End the interruptions of the operation."""

    def delays(self) -> list[float]:
        """Return when (seconds) to cancel a task's operation that begins."""
        return []

    def delay(self) -> float:
        """Return a delay (seconds) into an operation, during its commands or its wait."""
        longest = self.random.choice((0.0008, 0.0008, 0.003, 0.02, 0.3))
        return longest * (0.02 + self.random.random())


class Cancellations(Injection):
    """Tasks are cancelled, some of them twice."""

    interruptions = (asyncio.CancelledError,)

    def delays(self) -> list[float]:
        if self.random.random() < 0.3:
            return []
        first = self.delay()
        return [first, first + self.delay() / 10][: self.random.choice((1, 1, 2))]


class CancellationStorm(Cancellations):
    """All tasks are cancelled at once."""

    EVERY = 0.3  # seconds

    def delays(self) -> list[float]:
        return [self.EVERY - time.monotonic() % self.EVERY]


class Alarms(Injection):
    """SIGALRM comes in the main thread, sometimes twice, and its handler raises."""

    interruptions = (HardInterruption, SoftInterruption)

    def start(self, actors: list[Actor]) -> None:
        self._armed = self._again = False
        signal.signal(signal.SIGALRM, self._raise)

    def arm(self, actor: Actor) -> None:
        if threading.current_thread() is threading.main_thread() and self.random.random() < 0.7:
            self._armed, self._again = True, self.random.random() < 0.3
            signal.setitimer(signal.ITIMER_REAL, self.delay())

    def disarm(self, actor: Actor) -> None:
        if threading.current_thread() is threading.main_thread():
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            if self._again:
                self._again = False
                signal.setitimer(signal.ITIMER_REAL, 0.00001 + self.delay() / 20)
            raise self.random.choice(self.interruptions)


class AsynchronousExceptions(Injection):
    """Another thread sets exceptions in threads, as dramatiq's time limits do."""

    interruptions = (HardInterruption, SoftInterruption)

    def start(self, actors: list[Actor]) -> None:
        self._armed: dict[str, int] = {}
        threading.Thread(target=self._throw_all, daemon=True, name="thrower").start()

    def arm(self, actor: Actor) -> None:
        if self.random.random() < 0.7:
            self._armed[actor.name] = threading.get_ident()

    def disarm(self, actor: Actor) -> None:
        self._armed.pop(actor.name, None)

    def _throw_all(self) -> None:
        while True:
            time.sleep(self.delay() / 4)
            for actor, thread in list(self._armed.items()):
                self._throw(thread)
                if self.random.random() < 0.7:
                    self._armed.pop(actor, None)
                break

    def _throw(self, thread: int) -> None:
        error = ctypes.py_object(self.random.choice(self.interruptions))
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)


class GeventTimeouts(Injection):
    """`gevent.Timeout` comes at the points where greenlets switch."""

    def __init__(self, random: Random) -> None:
        import gevent

        super().__init__(random)
        self._timeout = gevent.Timeout
        self.interruptions = (gevent.Timeout,)
        self._running: dict[str, list[gevent.Timeout]] = {}

    def arm(self, actor: Actor) -> None:
        if self.random.random() < 0.7:
            first = self.delay()
            delays = [first, first + self.delay() / 10][: self.random.choice((1, 1, 2))]
            self._running[actor.name] = [self._timeout(delay) for delay in delays]
            for timeout in self._running[actor.name]:
                timeout.start()

    def disarm(self, actor: Actor) -> None:
        for timeout in self._running.pop(actor.name, []):
            timeout.cancel()


class Starvation(Injection):
    """A thread calls C functions that keep other threads from running."""

    SECONDS = (0.02, 0.1, 0.3, 1.2)

    def start(self, actors: list[Actor]) -> None:
        # PyDLL keeps the interpreter's lock, as a badly written extension does.
        self._sleep = ctypes.PyDLL(None).usleep
        threading.Thread(target=self._starve, daemon=True, name="extension").start()

    def _starve(self) -> None:
        while True:
            time.sleep(self.random.uniform(0.2, 1.0))
            self._sleep(int(1_000_000 * self.random.choice(self.SECONDS)))


class UsedUpPool(Injection):
    """A thread takes all connections of the cache's pool, and gives them back later."""

    def start(self, actors: list[Actor]) -> None:
        threading.Thread(target=self._use_up, daemon=True, name="cache user").start()

    def _use_up(self) -> None:
        pool = get_redis_connection("default").connection_pool
        while True:
            taken = []
            with suppress(RedisConnectionError):  # the pool is empty
                while True:
                    taken.append(pool.get_connection())
            time.sleep(self.random.uniform(0.1, 1.0))
            for connection in taken:
                pool.release(connection)
            time.sleep(self.random.uniform(0, 0.3))


INJECTIONS: dict[str, type[Injection]] = {
    "": Injection,
    "cancellations": Cancellations,
    "storm": CancellationStorm,
    "starvation": Starvation,
    "pool": UsedUpPool,
    "alarms": Alarms,
    "asynchronous": AsynchronousExceptions,
    "gevent": GeventTimeouts,
}
