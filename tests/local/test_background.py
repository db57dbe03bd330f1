"""Background jobs: each one runs, in its order, or leaves nothing behind."""

from __future__ import annotations

import _thread
import math
import threading
import time
from collections.abc import Iterator

import pytest

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.local.background import Background, Server, Worker, background as all_jobs
from django_redislock.process import NoThread
from tests.support.interruptions import PACKAGE, interrupt, places_in
from tests.support.processes import wait_until
from tests.support.threads import end_our_threads, no_thread_can_start, our_threads

NAME = "django_redislock-memory"


@pytest.fixture
def server() -> Server:
    return lock_backends["memory"], "a test's"


@pytest.fixture
def background(monkeypatch: pytest.MonkeyPatch) -> Iterator[Background]:
    end_our_threads(monkeypatch)
    yield (made := Background())
    made.end(30)


def test_the_job_that_is_due_first_runs_first(background: Background, server: Server) -> None:
    ran: list[int] = []

    def first() -> None:
        # All of these are pending when it ends.
        background.later(server, lambda: ran.append(3), 0.002)
        background.until_done(server, lambda: ran.append(2), time.monotonic() + 60)
        background.now(server, lambda: ran.append(1))
        time.sleep(0.01)

    background.now(server, first)
    assert background.flush(30)
    assert ran == [1, 2, 3]


def test_a_renewal_does_not_wait_for_the_jobs_that_were_due_before(
    background: Background, server: Server
) -> None:
    ran: list[str] = []
    ready = threading.Event()

    def renew_meanwhile() -> None:
        ran.append("release")
        background.now(server, lambda: ran.append("renewal"))

    background.now(server, lambda: ready.wait(10))
    background.until_done(server, renew_meanwhile, math.inf)
    background.until_done(server, lambda: ran.append("another release"), math.inf)
    ready.set()
    assert background.flush(30)
    assert ran == ["release", "renewal", "another release"]


def test_new_jobs_that_can_wait_do_not_cause_another_pass(
    background: Background, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes, run = [], Worker._run_what_is_due
    monkeypatch.setattr(Worker, "_run_what_is_due", lambda self: passes.append(self) or run(self))
    ready = threading.Event()
    background.now(server, lambda: ready.wait(10))
    for _ in range(500):
        background.until_done(server, lambda: background.later(server, list, 3600), math.inf)
    ready.set()
    assert background.flush(30)
    assert len(passes) < 50


def test_a_server_that_does_not_answer_is_asked_again(
    background: Background, server: Server
) -> None:
    asked: list[float] = []

    def ask() -> None:
        asked.append(time.monotonic())
        if len(asked) < 3:
            raise LockUnavailable("not yet")

    background.until_done(server, ask, time.monotonic() + 60)
    wait_until(lambda: len(asked) == 3)
    assert background.flush(30)
    assert asked[2] - asked[0] > 0.4


def test_a_server_that_does_not_answer_is_not_asked_for_ever(
    background: Background, server: Server
) -> None:
    def ask() -> None:
        asked.append(time.monotonic())
        raise LockUnavailable("no answer")

    asked: list[float] = []
    background.until_done(server, ask, time.monotonic() + 1)
    wait_until(lambda: not background._workers[server].has_jobs(), what="it is given up")
    assert asked


def test_a_job_that_the_server_refuses_does_not_hold_up_the_others(
    background: Background, server: Server
) -> None:
    """A server without free memory takes no counts, but releases locks."""

    def refuse() -> None:
        refused.set()
        raise LockUnavailable("used memory > 'maxmemory'")

    refused, released = threading.Event(), threading.Event()
    background.until_done(server, refuse, math.inf)
    assert refused.wait(30)
    background.until_done(server, released.set, math.inf)
    assert released.wait(30)


def test_a_job_that_was_refused_is_not_run_later(background: Background, server: Server) -> None:
    ran: list[str] = []
    with no_thread_can_start(), pytest.raises(NoThread):
        background.now(server, lambda: ran.append("refused"))
    assert background.flush(0)
    background.now(server, lambda: ran.append("taken"))
    assert background.flush(30)
    assert ran == ["taken"]


def test_an_interrupted_caller_leaves_no_thread_running(
    background: Background, server: Server
) -> None:
    """The thread ends when the jobs are done, wherever a caller was interrupted."""

    def put() -> None:
        background.later(server, lambda: None, 0.0)

    for place in range(places_in(put, inside=PACKAGE)):
        interrupt(put, at=place, inside=PACKAGE)
        assert background.flush(30), place
    wait_until(lambda: NAME not in our_threads(), what="the thread has ended")


def test_the_end_runs_jobs_that_are_not_due_yet(background: Background, server: Server) -> None:
    ran: list[str] = []
    background.later(server, lambda: ran.append("late"), 60)
    background.end(30)
    assert ran == ["late"]


def test_a_job_whose_thread_died_at_its_start_is_run_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to Python 3.11 an exception that is set in a thread may kill one that it is starting."""
    end_our_threads(monkeypatch, linger=30)
    ran = threading.Event()
    with lock("a") as held:  # now the renewal thread is running
        with monkeypatch.context() as patch:
            patch.setattr(_thread, "start_new_thread", lambda *args: 0)
            all_jobs.now((held.backend, "a test's"), ran.set)
        assert ran.wait(10)


def test_a_job_that_comes_at_the_end_when_all_others_were_run_is_run_too(
    background: Background, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from the thread that reports a loss. The exit must not wait until it would be due."""
    ran: list[str] = []
    has_jobs, delays = Worker.has_jobs, [60.0]

    def add_one(worker: Worker, until: float = math.inf) -> bool:
        if threading.current_thread() is threading.main_thread() and delays:
            wait_until(lambda: not worker._ending)
            background.later(server, lambda: ran.append("late"), delays.pop())
        return has_jobs(worker, until)

    background.now(server, lambda: ran.append("first"))
    monkeypatch.setattr(Worker, "has_jobs", add_one)
    background.end(5)
    assert ran == ["first", "late"]


def test_the_end_does_not_sort_all_jobs_again_while_it_waits(
    background: Background, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With thousands of jobs, that would take longer than to run them."""
    sorted_with: list[int] = []
    hasten = Worker._hasten

    def count(worker: Worker) -> None:
        if worker in background._workers.values():  # and none of an earlier test
            sorted_with.append(len(worker._jobs))
        hasten(worker)

    monkeypatch.setattr(Worker, "_hasten", count)
    for _ in range(20):
        background.later(server, lambda: time.sleep(0.02), 60)
    background.end(30)
    assert len(sorted_with) < 10
