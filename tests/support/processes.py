"""Python functions in real processes, deadlines instead of sleeps, and confirmed signals.

Like a web server's process, a worker shares only its arguments with the test, and it ends when the
test's process ends. It is forked from a process that has set up Django and done nothing else
(`tests/support/prepared.py`), because a fresh interpreter needs half a second for that. Tests about
the start or end of a process use a fresh one: `start_afresh`.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import subprocess
import threading
import time
import traceback
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.context import ForkServerContext, SpawnContext
    from types import TracebackType

WITHIN = 45.0  # seconds; a deadline for a machine under load, not an expectation
POLL_EVERY = 0.002, 0.05  # seconds, at first and at last

# The source of workers, and of an Event, a Barrier or a Queue for them. Forked workers end with
# `os._exit()`, so they skip the usual steps at exit.
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tests.support.prepared"])
fresh = multiprocessing.get_context("spawn")

T = TypeVar("T")


class WorkerFailed(AssertionError):
    """The function has raised, or its process has ended without an answer."""


class Worker:
    """A function of a module that runs in a separate process."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        start_in: ForkServerContext | SpawnContext = context,
    ) -> None:
        self.name = f"{function.__module__}:{function.__qualname__}"
        self._answers, answer = start_in.Pipe(duplex=False)
        # By name, so that Django is set up before the function's module is imported.
        self.process = start_in.Process(target=_work, args=(answer, self.name, args), daemon=True)
        self.process.start()
        answer.close()
        self._answer: tuple[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<Worker {self.pid} {self.name}>"

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs (or is frozen)."""
        return self.process.is_alive()

    def result(self, within: float = WITHIN) -> Any:
        """Wait for the process to end, and return the result of the function.

        Raises WorkerFailed if it has raised, was killed, or takes longer than `within` seconds.
        """
        deadline = time.monotonic() + within
        if self._answer is None and self._answers.poll(within):
            with contextlib.suppress(EOFError, OSError):
                self._answer = self._answers.recv()
        self.process.join(max(0.0, deadline - time.monotonic()))
        if self._answer is None:
            ended = self.process.exitcode
            state = f"does not end within {within:g} s" if ended is None else f"has ended: {ended}"
            raise WorkerFailed(f"{self!r} {state}, without an answer.")
        outcome, value = self._answer
        if outcome == "raised":
            raise WorkerFailed(f"{self!r} has raised:\n{value}")
        return value

    def kill(self) -> None:
        """Kill the process as `kill -9` does, and wait until it has ended."""
        self.process.kill()
        self.process.join()

    def freeze(self) -> None:
        """Freeze the process, and wait until it is frozen."""
        freeze(self.pid)

    def thaw(self) -> None:
        """Resume a frozen process."""
        thaw(self.pid)

    def close(self) -> None:
        """End the process if it still runs, and free its resources."""
        self.kill()
        self._answers.close()
        self.process.close()


class Workers:
    """Starts workers, and ends those that are left at the end of the block.

    with Workers() as workers:
        first = workers.start(hold, "order:42")
        second = workers.start(hold, "order:42")
        assert first.result() ...
    """

    def __init__(self) -> None:
        self.all: list[Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self.all:
            worker.close()

    def start(self, function: Callable[..., Any], *args: Any) -> Worker:
        """Call `function(*args)`, a function at the top of a module, in a new process."""
        self.all.append(Worker(function, args))
        return self.all[-1]

    def start_afresh(self, function: Callable[..., Any], *args: Any) -> Worker:
        """Call the function in a new interpreter, which ends like any program."""
        self.all.append(Worker(function, args, fresh))
        return self.all[-1]

    def results(self, within: float = WITHIN) -> list[Any]:
        """Return the results of all functions, in the order of their start.

        Raises WorkerFailed for the first that has failed, or after `within` seconds in total.
        """
        deadline = time.monotonic() + within
        return [worker.result(max(0.0, deadline - time.monotonic())) for worker in self.all]


def run_in_processes(
    function: Callable[..., Any], number: int, *args: Any, within: float = WITHIN
) -> list[Any]:
    """Call `function(index, *args)` in `number` processes at once; return the results in order."""
    with Workers() as workers:
        for index in range(number):
            workers.start(function, index, *args)
        return workers.results(within)


def wait_until(condition: Callable[[], T], *, within: float = WITHIN, what: object = "") -> T:
    """Return the condition's value as soon as it is true.

    Raises AssertionError if it is not true after `within` seconds.
    """
    began = time.monotonic()
    least, most = POLL_EVERY
    while True:
        if value := condition():
            return value
        passed = time.monotonic() - began
        if passed > within:
            raise AssertionError(f"Not within {within:g} s: {what or condition}")
        # Poll less often after a while, since polling slows down the process that is waited for.
        time.sleep(min(max(least, passed / 20), most))


def stay() -> NoReturn:
    """Sleep until the process is ended from outside."""
    # In slices, because a signal just before a sleep is only handled after the sleep.
    while True:
        time.sleep(0.05)


def freeze(pid: int) -> None:
    """Send SIGSTOP, and wait until the process has stopped."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: process_state(pid) in ("T", ""), what=f"process {pid} is frozen")


def thaw(pid: int) -> None:
    """Send SIGCONT."""
    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Freeze a process during the block, so that it neither answers nor ends."""
    freeze(pid)
    try:
        yield
    finally:
        thaw(pid)


def kill_hard(pid: int) -> None:
    """Send SIGKILL, and wait until the process is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: process_gone(pid), what=f"process {pid} is gone")


def process_gone(pid: int) -> bool:
    """Return whether the process has ended, even if its exit code has not been read yet."""
    return process_state(pid) in ("", "Z", "X")


def process_state(pid: int) -> str:
    """Return the state letter of `ps` (R, S, T for stopped, Z for ended), "" for no process."""
    if Path("/proc/self/stat").exists():
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return ""
    done = subprocess.run(
        ["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()[:1]


def _work(answer: connection.Connection, name: str, args: Sequence[Any]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # A shell may have started the tests with SIGINT ignored, which is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if os.environ.get("DJANGO_SETTINGS_MODULE"):
            import django

            django.setup()
        module, _, qualified_name = name.partition(":")
        function = getattr(importlib.import_module(module), qualified_name)
        answer.send(("returned", function(*args)))
    except BaseException:  # noqa: BLE001 (the test raises it again)
        answer.send(("raised", traceback.format_exc()))
        raise SystemExit(1) from None


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
