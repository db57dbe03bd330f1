"""Workers, which are real processes and end with the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from tests.support.processes import (
    WorkerFailed,
    Workers,
    context,
    kill_hard,
    process_gone,
    process_state,
    run_in_processes,
    wait_until,
)

ROOT = Path(__file__).parents[2]


def identify(index: int, text: str) -> tuple[int, str, int]:
    return index, text, os.getpid()


def fail() -> None:
    raise ValueError("what was wrong")


def stay(ready: Event) -> None:
    ready.set()
    while True:
        time.sleep(0.01)


def count(path: str) -> None:
    with Path(path).open("a") as file:
        while True:
            file.write(".")
            file.flush()
            time.sleep(0.001)


def be_interrupted(ready: Event) -> str:
    try:
        stay(ready)
    except KeyboardInterrupt:
        return "interrupted"
    return "not interrupted"


def test_results_come_in_order_from_other_processes() -> None:
    results = run_in_processes(identify, 3, "x")
    assert [result[:2] for result in results] == [(0, "x"), (1, "x"), (2, "x")]
    assert len({result[2] for result in results} | {os.getpid()}) == 4


def test_failure_holds_the_traceback() -> None:
    with pytest.raises(WorkerFailed, match=r"(?s)in fail.*what was wrong"), Workers() as workers:
        workers.start(fail).result()


def test_deadline_is_a_failure_and_leaves_no_process() -> None:
    ready = context.Event()  # it must still exist when the child looks for it
    with Workers() as workers:
        worker = workers.start(stay, ready)
        pid = worker.pid
        with pytest.raises(WorkerFailed, match="does not end"):
            worker.result(within=0.01)
    assert process_gone(pid)


def test_killed_worker_is_a_failure() -> None:
    ready = context.Event()
    with Workers() as workers:
        worker = workers.start(stay, ready)
        assert ready.wait(30)
        assert worker.alive
        worker.kill()
        assert not worker.alive
        with pytest.raises(WorkerFailed, match="has ended: -9"):
            worker.result()


def test_frozen_worker_does_nothing_until_it_thaws(tmp_path: Path) -> None:
    path = tmp_path / "dots"
    with Workers() as workers:
        worker = workers.start(count, str(path))
        wait_until(lambda: path.exists() and path.stat().st_size > 1)
        worker.freeze()
        assert process_state(worker.pid) == "T"
        size = path.stat().st_size
        time.sleep(0.05)  # long enough to write more, if it could; less would hide a fault
        assert path.stat().st_size == size
        worker.thaw()
        wait_until(lambda: path.stat().st_size > size)
        worker.freeze()
        pid = worker.pid
    assert process_gone(pid)


def test_worker_can_be_interrupted() -> None:
    ready = context.Event()
    with Workers() as workers:
        worker = workers.start(be_interrupted, ready)
        assert ready.wait(30)
        os.kill(worker.pid, signal.SIGINT)
        assert worker.result() == "interrupted"


def test_workers_end_with_a_killed_test() -> None:
    code = (
        "from tests.support.processes import Workers, context\n"
        "from tests.support_tests.test_processes import stay\n"
        "if __name__ == '__main__':\n"
        "    ready = context.Event()\n"
        "    worker = Workers().start(stay, ready)\n"
        "    ready.wait()\n"
        "    print(worker.pid, flush=True)\n"
        "    worker.process.join()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not process_gone(pid)
        parent.kill()
    wait_until(lambda: process_gone(pid))


def test_wait_until_returns_the_value_or_fails() -> None:
    values = iter([0, None, 7])
    assert wait_until(lambda: next(values)) == 7
    with pytest.raises(AssertionError, match=r"Not within 0.01 s: the impossible"):
        wait_until(lambda: False, within=0.01, what="the impossible")


def test_state_of_no_process() -> None:
    process = subprocess.Popen(["sleep", "1000"])
    assert not process_gone(process.pid)
    kill_hard(process.pid)
    assert process_state(process.pid) == "Z"
    process.wait()
    assert process_state(process.pid) == ""
    kill_hard(process.pid)
