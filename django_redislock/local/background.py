"""Background jobs of a lock server: now, later, or repeated until it answers."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ..clock import monotonic
from ..exceptions import LockUnavailable
from ..process import NoThread, ServiceThread, process

if TYPE_CHECKING:
    from ..backends.base import BaseLockBackend

__all__ = ["RETRY_EVERY", "Background", "Server", "background"]

# A backend, and the server that a job needs, if there are several; None if any will do.
Server: TypeAlias = "tuple[BaseLockBackend, Hashable]"

logger = logging.getLogger("django_redislock")

# How often (seconds) a server that does not answer is tried again.
RETRY_EVERY = 0.25
# How much later (seconds) a job is due again than those that it was tried on behalf of.
TURN = 0.001
# A thread without jobs ends after this time (seconds).
LINGER = 10.0

_numbers = itertools.count()


class Job(NamedTuple):
    """What to run, and when. Times are monotonic.

    ``until``: the job is repeated until then if the server does not answer. ``postponed``: whether
    it waits for that. Shutdown drops such a job, and runs the others at once.
    """

    due: float
    number: int
    run: Callable[[], object]
    until: float = 0.0
    postponed: bool = False


class Worker:
    """The jobs of one server, and the thread that runs them one at a time."""

    def __init__(self, name: str) -> None:
        self._thread = ServiceThread(name, self._serve, self.has_jobs)
        # All jobs. Even if its caller is interrupted, a job is either in here or does not exist.
        self._jobs: dict[int, Job] = {}
        self._ending = False
        # Whether a new job goes before all others.
        self._urgent = False
        self._away_until = 0.0

    def put(self, job: Job) -> None:
        """Add a job. If no thread can be started, drop the job and raise ``NoThread``."""
        self._jobs[job.number] = job
        if not job.due:
            self._urgent = True
        try:
            self.look()
        except NoThread:
            self._jobs.pop(job.number, None)
            raise

    def look(self) -> None:
        """Make the thread look for jobs. Raises ``NoThread``."""
        self._thread.wake()
        self._thread.ensure()

    def end(self) -> None:
        """At shutdown, run all jobs at once, and drop those that the server did not answer."""
        if not self._ending:  # or each call would have the thread sort all its jobs once more
            self._ending = self._urgent = True
        try:
            self.look()
        except NoThread:
            self._serve()

    def has_jobs(self, until: float = math.inf) -> bool:
        """Whether a job is due by ``until`` (monotonic)."""
        return any(job.due <= until for job in list(self._jobs.values()))

    # The methods below run in the thread.

    def _serve(self) -> None:
        while True:
            if self._ending:
                self._hasten()
            if self._run_what_is_due():
                continue
            if self._ending and not self._jobs:
                self._ending = False
                return
            due = min((job.due for job in list(self._jobs.values())), default=math.inf)
            if not self._thread.sleep(min(due - monotonic(), LINGER)) and not self._jobs:
                return

    def _hasten(self) -> None:
        now = monotonic()
        for job in list(self._jobs.values()):
            self._keep(None if job.postponed else job._replace(due=min(job.due, now)), job.number)

    def _run_what_is_due(self) -> bool:
        """Run the due jobs in the order of their times; return whether there were any."""
        self._urgent, now = False, monotonic()
        due = sorted(job for job in list(self._jobs.values()) if job.due <= now)
        for job in due:
            self._keep(self._repeated(job), job.number)
            if self._urgent:
                break
        return bool(due)

    def _keep(self, job: Job | None, number: int) -> None:
        if job is None:
            self._jobs.pop(number, None)
        else:
            self._jobs[number] = job

    def _repeated(self, job: Job) -> Job | None:
        """Run the job; if it has to be run again, return it with its new time."""
        now = monotonic()
        if job.until and now >= job.until:
            return None  # the lease that it would have ended has run out
        if job.until and now < self._away_until:
            # One is tried on behalf of all, so an outage causes no retry storm.
            return job._replace(due=self._away_until, postponed=True)
        try:
            job.run()
        except LockUnavailable:
            self._away_until = now + RETRY_EVERY
            # After the others, one of which is tried next: perhaps only this one is refused.
            again = job._replace(due=self._away_until + TURN, postponed=True)
            return again if job.until else None
        except Exception:
            logger.debug("A background job of the lock backend failed.", exc_info=True)
        else:
            self._away_until = 0.0
        return None


class Background:
    """Workers by backend and server. A server that hangs does not delay the jobs of another."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start without jobs. A forked child leaves them to its parent."""
        self._workers: dict[Server, Worker] = {}

    def now(self, server: Server, run: Callable[[], object]) -> None:
        """Run a job once, before all others. Raises ``NoThread`` if no thread can be started."""
        self._put(server, Job(0.0, next(_numbers), run))

    def later(self, server: Server, run: Callable[[], object], delay: float) -> bool:
        """Run a job once, in ``delay`` seconds or at shutdown.

        Return False if no thread can be started: then it is not run.
        """
        with suppress(NoThread):
            self._put(server, Job(monotonic() + delay, next(_numbers), run))
            return True
        return False

    def until_done(self, server: Server, run: Callable[[], object], until: float) -> None:
        """Run a job soon, and repeat it until ``until`` while it raises ``LockUnavailable``.

        With 0.0 it is run once, even if the server has just failed to answer another job.

        If no thread can be started, as when the interpreter exits, run it here, once.
        """
        try:
            self._put(server, Job(monotonic(), next(_numbers), run, until=until))
        except NoThread:
            with suppress(LockUnavailable):
                run()

    def end(self, timeout: float) -> None:
        """At shutdown, run the jobs, and wait for them at most ``timeout`` seconds."""
        deadline = monotonic() + timeout
        workers = list(self._workers.values())
        for worker in workers:
            worker.end()
        while monotonic() < deadline and (late := [one for one in workers if one.has_jobs()]):
            for worker in late:
                worker.end()  # a job may have come after the thread had run all others
            time.sleep(0.005)

    def look(self) -> None:
        """Make the threads look for jobs that are due.

        An interrupted caller may not have woken the thread, or it was killed at its start.
        """
        now = monotonic()
        for worker in list(self._workers.values()):
            if worker.has_jobs(now):
                with suppress(NoThread):
                    worker.look()

    def flush(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds until no job is due; return whether none is."""
        deadline = monotonic() + timeout
        self.look()
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
