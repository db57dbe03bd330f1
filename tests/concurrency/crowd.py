"""Threads and tasks that wait for one name through an outage."""

from __future__ import annotations

import asyncio
import threading

from django_redislock import LockUnavailable, lock, lock_backends
from tests.concurrency import jobs
from tests.support.processes import wait_until


class Crowd:
    """Threads and tasks that wait for one name."""

    def __init__(self, name: str, threads: int, tasks: int, wait: float = 50.0) -> None:
        self.size = threads + tasks
        self.name = name
        self.wait = wait
        self.fences: list[int] = []
        self.errors: list[Exception] = []
        self.threads = [threading.Thread(target=self.wait_in_thread) for _ in range(threads)]
        self.threads.append(threading.Thread(target=lambda: asyncio.run(self.wait_in_tasks(tasks))))
        for thread in self.threads:
            thread.start()
        wait_until(lambda: jobs.queue_length(name) == self.size)

    def wait_in_thread(self) -> None:
        try:
            with lock(self.name, wait=self.wait) as held:
                self.fences.append(held.fence)
        except LockUnavailable as error:
            self.errors.append(error)

    async def wait_in_task(self) -> None:
        try:
            async with lock(self.name, wait=self.wait) as held:
                self.fences.append(held.fence)
        except LockUnavailable as error:
            self.errors.append(error)

    async def wait_in_tasks(self, tasks: int) -> None:
        await asyncio.gather(*(self.wait_in_task() for _ in range(tasks)))

    def join(self) -> None:
        for thread in self.threads:
            thread.join()

    def assert_served(self) -> None:
        self.join()
        assert self.errors == []
        assert len(set(self.fences)) == self.size
        assert lock_backends["default"].inspect(self.name) == ([], [])
