"""Recipes for Celery, with a real worker and a real broker, in both of the usual pools."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from django_redislock import LockNotAcquired, lock, locked
from django_redislock.testing import assert_locked, assert_not_locked, held_elsewhere
from tests.support.processes import wait_until
from tests.tasks.board import Board
from tests.tasks.programs import Program, running

pytest.importorskip("celery", reason="Celery is not installed")

from celery import Celery

from tests.tasks.broker import celery

TASK = 30.0  # seconds; a deadline for a machine under load, not an expectation
TRIES = 5

pytestmark = pytest.mark.timeout(240)

Send = Callable[..., Any]


@pytest.fixture(scope="module")
def prefix() -> str:
    """The key prefix of the worker: it serves all tests of the module."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
def key_prefix(prefix: str, settings: Any) -> str:
    """The test's own locks are those of the worker."""
    settings.LOCKS = {"default": {"KEY_PREFIX": prefix}}
    return prefix


@pytest.fixture(scope="module")
def send(prefix: str, redis_url: str) -> Iterator[Send]:
    """Queue a task, by the name of its function."""
    with celery(redis_url, prefix) as app:

        def send(name: str, *args: object) -> Any:
            return app.send_task(f"tests.tasks.celery_app.{name}", args)

        yield send


@pytest.fixture
def board(prefix: str, redis_url: str) -> Iterator[Board]:
    board = Board(redis_url, prefix)
    yield board
    board.close()


@contextmanager
def worker(prefix: str, pool: str) -> Iterator[Program]:
    """A worker that takes tasks."""
    command = ("-m", "celery", "-A", "tests.tasks.celery_app", "worker", "--loglevel", "INFO")
    options = ("--pool", pool, "--concurrency", "3", "--without-mingle", "--without-gossip")
    with running(prefix, *command, *options) as program:
        program.says(" ready.")
        yield program


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request: pytest.FixtureRequest, prefix: str) -> Iterator[str]:
    """A worker with this pool is running."""
    with worker(prefix, request.param):
        yield request.param


@pytest.fixture
def feed() -> int:
    """The number of a feed that no other test imports."""
    return secrets.randbelow(10**9)


@pytest.mark.usefixtures("pool")
def test_a_busy_task_is_skipped(send: Send, board: Board, feed: int) -> None:
    first = send("import_feed", feed)
    board.take(f"feed {feed} began")
    (hold,) = assert_locked(f"feed:{feed}")
    assert hold.holder.what.endswith("import_feed")
    assert send("import_feed", feed).get(TASK) is None
    board.put(f"feed {feed} may end")
    assert first.get(TASK) == f"feed {feed} done"
    assert not board.has(f"feed {feed} began")
    assert_not_locked(f"feed:{feed}")


def seen_busy(result: Any) -> bool:
    """Whether the task found the lock busy, and did not arrive too late for that."""
    wait_until(lambda: result.state in ("RETRY", "SUCCESS"), what="it was busy")
    return bool(result.state == "RETRY")


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize("task", ["import_feed_later", "import_feed_in_the_end"])
def test_a_busy_task_is_retried(send: Send, board: Board, feed: int, task: str) -> None:
    for _ in range(TRIES):
        board.put(f"feed {feed} may end")
        with held_elsewhere(f"feed:{feed}", lease=2):
            result = send(task, feed)
            was_busy = seen_busy(result)
            assert result.get(TASK) == f"feed {feed} done"
        board.take(f"feed {feed} began")
        if was_busy:
            return
    pytest.fail("it was never busy")


@pytest.mark.usefixtures("pool")
def test_a_busy_task_is_retried_when_the_hold_should_have_ended(
    send: Send, board: Board, feed: int
) -> None:
    for _ in range(TRIES):
        board.put(f"feed {feed} may end")
        with held_elsewhere(f"feed:{feed}", lease=3) as other:
            began = time.monotonic()
            result = send("import_feed_later", feed)
            was_busy = seen_busy(result)
            other.release()
            result.get(2 * TASK)
        if was_busy:
            # Retried when the lease would have ended, or after a second if the worker knows that
            # such holds are short. By default Celery retries after three minutes.
            assert 0.9 < time.monotonic() - began < 2 * TASK
            return
    pytest.fail("it was never busy")


@pytest.mark.usefixtures("pool")
def test_a_revoked_or_expired_task_gives_its_hold_back(
    prefix: str, redis_url: str, feed: int
) -> None:
    with celery(redis_url, prefix) as app:
        for task_id, options in ((secrets.token_hex(16), {}), (None, {"expires": -1})):
            if task_id:
                assert app.control.revoke(task_id, reply=True, timeout=TASK, limit=1)
            job = lock(f"feed:{feed}", wait=TASK)
            assert job.acquire()
            name = "tests.tasks.celery_app.import_queued_feed"
            args = (feed, job.detach(3600))
            app.send_task(name, args, task_id=task_id, **options)
            wait_until(lambda: not _is_locked(f"feed:{feed}"), what="it was given back")


@pytest.mark.usefixtures("pool")
def test_a_hold_is_passed_to_its_task(send: Send, board: Board, feed: int) -> None:
    assert send("queue", feed).get(TASK) is True
    (queued,) = assert_locked(f"feed:{feed}")
    assert send("queue", feed).get(TASK) is False
    board.take(f"feed {feed} began")
    (running,) = assert_locked(f"feed:{feed}")
    assert (running.token, running.fence) == (queued.token, queued.fence)
    assert running.remaining < 61  # the task's own lease, not the hour any more
    board.put(f"feed {feed} may end")
    wait_until(lambda: send("queue", feed).get(TASK), what="the first one is done")
    board.put(f"feed {feed} may end")
    wait_until(lambda: not _is_locked(f"feed:{feed}"), what="the second one is done")


@pytest.mark.usefixtures("pool")
def test_a_task_whose_hold_has_ended_acquires_the_lock_again(
    send: Send, board: Board, feed: int
) -> None:
    job = lock(f"feed:{feed}")
    assert job.acquire(wait=0)
    token = job.detach(0.2)
    wait_until(lambda: not _is_locked(f"feed:{feed}"), what="the hold has ended before the task")
    with held_elsewhere(f"feed:{feed}"):
        with pytest.raises(LockNotAcquired):
            send("import_queued_feed", feed, token).get(TASK)
    board.put(f"feed {feed} may end")
    assert send("import_queued_feed", feed, token).get(TASK) == f"feed {feed} done"
    assert_not_locked(f"feed:{feed}")


def _is_locked(name: str) -> bool:
    try:
        assert_not_locked(name)
    except AssertionError:
        return True
    return False


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize("pool", ["prefork"], indirect=True)
def test_a_terminated_task_frees_its_lock(send: Send, board: Board, feed: int) -> None:
    result = send("import_feed", feed)
    board.take(f"feed {feed} began")
    assert_locked(f"feed:{feed}")
    result.revoke(terminate=True)
    wait_until(lambda: not _is_locked(f"feed:{feed}"), within=40, what="its lease is 60 s")


@pytest.mark.parametrize("pool_of_its_own", ["prefork", "threads"])
def test_an_ending_worker_frees_its_locks(
    pool_of_its_own: str, send: Send, board: Board, feed: int, prefix: str
) -> None:
    with worker(prefix, pool_of_its_own) as program:
        send("import_feed", feed)
        board.take(f"feed {feed} began")
        program.terminate()
        program.says("Warm shutdown")
        assert_locked(f"feed:{feed}")
        board.put(f"feed {feed} may end")
        program.ended()
        assert_not_locked(f"feed:{feed}")


class TestRetryWithoutAWorker:
    """Use of `on_busy="retry"` without a worker that can retry."""

    @pytest.fixture
    def task(self) -> Any:
        app = Celery("alone", set_as_current=False)

        @app.task(max_retries=2)
        @locked("feed:{feed_id}", wait=0, on_busy="retry")
        def import_feed(feed_id: int) -> str:
            return f"feed {feed_id} done"

        return import_feed

    def test_a_task_called_as_a_function_raises(self, task: Any, feed: int) -> None:
        with held_elsewhere(f"feed:{feed}"), pytest.raises(LockNotAcquired):
            task(feed)
        assert task(feed) == f"feed {feed} done"

    def test_a_function_that_is_no_task_raises(self, feed: int) -> None:
        with held_elsewhere(f"feed:{feed}"), pytest.raises(LockNotAcquired):
            locked(f"feed:{feed}", wait=0, on_busy="retry")(lambda: None)()

    def test_a_task_fails_with_the_error_of_the_lock_after_the_last_retry(
        self, task: Any, feed: int
    ) -> None:
        with held_elsewhere(f"feed:{feed}"):
            result = task.apply((feed,))
        assert result.state == "FAILURE"
        assert isinstance(result.result, LockNotAcquired)

    def test_celery_tries_again_after_the_rest_of_the_lease(
        self, task: Any, feed: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        retries: list[dict[str, Any]] = []
        monkeypatch.setattr("celery.app.task.Task.retry", lambda task, **how: retries.append(how))
        with held_elsewhere(f"feed:{feed}", lease=40):
            task.apply((feed,))
        (how,) = retries
        assert 30 < how["countdown"] <= 48
        assert isinstance(how["exc"], LockNotAcquired)
