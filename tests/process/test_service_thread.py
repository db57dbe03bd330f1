"""Service threads, which callers start when there is work."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

import pytest

from django_redislock import process as process_module
from django_redislock.process import ServiceThread
from tests.support.processes import wait_until
from tests.support.threads import no_thread_can_start


class Worker:
    """Jobs for a service thread; `running` counts the threads at work."""

    def __init__(self) -> None:
        self.jobs: deque[Callable[[], object]] = deque()
        self.running = self.most = 0
        self.thread = ServiceThread("a-worker", self.serve, lambda: bool(self.jobs))

    def serve(self) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            while self.jobs:
                self.jobs.popleft()()
        finally:
            self.running -= 1

    def do(self, job: Callable[[], object]) -> None:
        self.jobs.append(job)
        self.thread.ensure()


def test_a_service_thread_does_its_work_and_ends() -> None:
    worker, done, names = Worker(), threading.Event(), deque[str]()
    worker.do(lambda: names.append(threading.current_thread().name))
    worker.do(done.set)
    assert done.wait(10)
    assert worker.thread.wait(10)
    assert [*names] == ["a-worker"]
    assert not worker.thread.is_running()


def test_all_jobs_are_done_and_two_threads_never_work_at_once() -> None:
    worker, done = Worker(), deque[int]()

    def bring(count: int) -> None:
        for number in range(count):
            worker.do(lambda number=number: done.append(number))  # type: ignore[misc]

    threads = [threading.Thread(target=bring, args=(200,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(done) == 1600)
    assert worker.most == 1


def test_work_added_while_the_thread_ends_is_done() -> None:
    done = threading.Event()
    worker = Worker()
    looks = iter([True, False])

    def has_work() -> bool:
        # Added after the last look of `serve`, while the thread still counts as running.
        if next(looks, False):
            worker.jobs.append(done.set)
            return True
        return bool(worker.jobs)

    worker.thread = ServiceThread("a-worker", worker.serve, has_work)
    worker.do(lambda: None)
    assert done.wait(10)


def test_a_service_thread_goes_on_after_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process_module, "PAUSE_AFTER_ERROR", 0.01)
    worker, done = Worker(), threading.Event()

    def fail() -> None:
        raise ValueError("a mistake")

    worker.jobs.append(fail)
    worker.do(done.set)
    assert done.wait(10)
    assert "a-worker failed" in caplog.text


def test_the_caller_that_adds_work_gets_the_error_if_no_thread_can_start() -> None:
    worker, done = Worker(), threading.Event()
    with no_thread_can_start():
        with pytest.raises(RuntimeError, match="new thread"):
            worker.do(done.set)
    worker.thread.ensure()
    assert done.wait(10)


def test_work_is_done_if_only_one_more_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    worker, done = Worker(), threading.Event()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    worker.do(done.set)
    assert done.wait(10)


def test_a_child_starts_its_own_thread() -> None:
    worker, stop, done = Worker(), threading.Event(), threading.Event()
    worker.do(stop.wait)
    wait_until(lambda: worker.running)
    worker.thread.reset()  # as in the child, where that thread does not run
    assert not worker.thread.is_running()
    worker.do(done.set)
    assert done.wait(10)
    stop.set()
    assert worker.thread.wait(10)


def test_a_service_thread_sleeps_until_it_is_woken() -> None:
    worker, slept = Worker(), deque[bool]()
    worker.do(lambda: slept.append(worker.thread.sleep(60)))
    worker.thread.wake()
    wait_until(lambda: slept)
    assert [*slept] == [True]


def test_earlier_wakes_are_not_lost_and_count_once() -> None:
    thread = Worker().thread
    thread.wake()
    thread.wake()
    assert thread.sleep(60)
    assert not thread.sleep(0.01)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_knows_no_threads_of_its_parent() -> None:
    """Threads of the child may get the same ids."""
    worker, ended = Worker(), threading.Event()
    worker.do(lambda: ended.wait(30))
    wait_until(lambda: worker.thread in ServiceThread.own.values())
    pid = os.fork()
    if pid == 0:
        os._exit(bool(ServiceThread.own))
    ended.set()
    assert os.waitpid(pid, 0)[1] == 0
