"""Background jobs of a lock server: now, later, or repeated until it answers."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import queue
import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ..clock import monotonic
from ..exceptions import LockUnavailable
from ..process import NoThread, ServiceThread, process

if TYPE_CHECKING:
    from ..backends.base import BaseLockBackend

__all__ = ["RETRY_EVERY", "Background", "Server", "background"]

# A backend, and the one of its servers that a job needs; None where any will do.
Server: TypeAlias = "tuple[BaseLockBackend, Hashable]"

logger = logging.getLogger("django_redislock")

# How often (seconds) a server that does not answer is asked again.
RETRY_EVERY = 0.25
# A thread without jobs ends after this time (seconds).
LINGER = 10.0

_numbers = itertools.count()


class Job(NamedTuple):
    """What to run, and from when on. Times are monotonic.

    ``until``: it is repeated until then while the server does not answer. ``at_end``: whether a
    process that ends runs it at once instead of dropping it.
    """

    due: float
    number: int
    run: Callable[[], object]
    until: float = 0.0
    at_end: bool = True


# A job, or None to have another look at the clock.
Message: TypeAlias = "Job | None"


class Worker:
    """The jobs of one server, and the thread that runs them one after the other."""

    def __init__(self, name: str) -> None:
        self._thread = ServiceThread(name, self._serve, self.has_jobs)
        # Only the thread looks into the heap; everybody else puts jobs into the inbox.
        self._jobs: list[Job] = []
        self._unfinished: dict[int, Job] = {}
        self._away_until = 0.0
        self._ending = False

    def put(self, job: Job) -> None:
        """Raises ``NoThread`` where no thread can be started."""
        self._unfinished[job.number] = job
        self._inbox.put(job)
        self._thread.ensure()

    @property
    def _inbox(self) -> queue.SimpleQueue[Message]:
        # Made on first use: gevent replaces the class, perhaps after this module was imported.
        inbox: queue.SimpleQueue[Message] | None = self.__dict__.get("inbox")
        return inbox or self.__dict__.setdefault("inbox", queue.SimpleQueue())

    def end(self) -> None:
        """Run what is worth keeping the process from its end, and drop the rest."""
        self._ending = True
        self._inbox.put(None)
        try:
            self._thread.ensure()
        except NoThread:
            self._serve()

    def has_jobs(self, until: float = math.inf) -> bool:
        """Whether anything is to be run up to then (monotonic)."""
        return any(job.due <= until for job in list(self._unfinished.values()))

    # Below, in the thread.

    def _serve(self) -> None:
        while True:
            self._take_in()
            now = monotonic()
            if self._jobs and self._jobs[0].due <= now:
                self._run(heapq.heappop(self._jobs))
                continue
            if self._ending and not self._jobs:
                self._ending = False
                return
            pause = self._jobs[0].due - now if self._jobs else LINGER
            try:
                self._note(self._inbox.get(timeout=min(pause, LINGER)))
            except queue.Empty:
                if not self._jobs:
                    return

    def _take_in(self) -> None:
        while not self._inbox.empty():
            self._note(self._inbox.get())
        if self._ending:
            # What waits for its time only because the server has just not answered is dropped.
            now = monotonic()
            jobs, self._jobs = self._jobs, []
            for job in jobs:
                self._unfinished.pop(job.number, None)
                if job.at_end:
                    self._note(job._replace(due=min(job.due, now)))

    def _note(self, message: Message) -> None:
        if message is not None:
            self._unfinished[message.number] = message
            heapq.heappush(self._jobs, message)

    def _run(self, job: Job) -> None:
        again = self._repeated(job)
        if again is not None:
            self._note(again)
        else:
            self._unfinished.pop(job.number, None)

    def _repeated(self, job: Job) -> Job | None:
        """Run the job; return when to run it again, if it is worth that."""
        now = monotonic()
        if job.until and now >= job.until:
            return None  # what it would have ended has ended by itself
        if job.until and now < self._away_until:
            # One is tried on behalf of all, so an outage causes no retry storm.
            return job._replace(due=self._away_until, at_end=False)
        try:
            job.run()
        except LockUnavailable:
            self._away_until = now + RETRY_EVERY
            return job._replace(due=self._away_until, at_end=False) if job.until else None
        except Exception:
            logger.debug("A background job of the lock backend failed.", exc_info=True)
        else:
            self._away_until = 0.0
        return None


class Background:
    """Workers by backend and node. One that hangs does not hold up the jobs of another."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Leave the jobs to the parent, in a forked child."""
        self._workers: dict[Server, Worker] = {}

    def now(self, server: Server, run: Callable[[], object]) -> None:
        """Run it once, before everything else.

        This and the other two raise ``NoThread`` where no thread can be started.
        """
        self._put(server, Job(0.0, next(_numbers), run))

    def later(
        self, server: Server, run: Callable[[], object], delay: float, *, at_end: bool = True
    ) -> None:
        """Run it once, in ``delay`` seconds or when the process ends."""
        self._put(server, Job(monotonic() + delay, next(_numbers), run, at_end=at_end))

    def until_done(self, server: Server, run: Callable[[], object], until: float) -> None:
        """Run it soon, and again while it raises ``LockUnavailable``, until then (monotonic)."""
        self._put(server, Job(monotonic(), next(_numbers), run, until=until))

    def end(self, timeout: float) -> None:
        """The process ends: wait ``timeout`` seconds at most for what is still worth running."""
        deadline = monotonic() + timeout
        workers = list(self._workers.values())
        for worker in workers:
            worker.end()
        while monotonic() < deadline and any(worker.has_jobs() for worker in workers):
            time.sleep(0.005)

    def flush(self, timeout: float) -> bool:
        """Wait ``timeout`` seconds at most until nothing is due; return whether that is so."""
        deadline = monotonic() + timeout
        while any(worker.has_jobs(monotonic()) for worker in list(self._workers.values())):
            if monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def _put(self, server: Server, job: Job) -> None:
        worker = self._workers.get(server)
        if worker is None:
            made = Worker(f"django_redislock-{server[0].alias}")
            worker = self._workers.setdefault(server, made)
        worker.put(job)


background = Background()
process.in_child(background.reset)
