"""Child processes that end with the process that started them, even if that process is killed.

With `subprocess` alone, children outlive a parent that dies by `kill -9`. Here each child has a
supervisor (`supervisor.py`) that notices this, ends the child and all processes it has started, and
removes its folder. POSIX only.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUPERVISOR = Path(__file__).with_name("supervisor.py")
SUPERVISOR_STARTS_WITHIN = 30.0  # seconds; a deadline for a machine under load, not an expectation
SUPERVISOR_ENDS_WITHIN = 10.0  # seconds, on top of the child's own grace

_running: set[SupervisedProcess] = set()


class SupervisedProcess:
    """A running child process. It ends when `stop()` is called or when this process ends.

    `args` is the command. It is looked up on PATH and started without standard input, in its own
    process group, so that Ctrl-C in the terminal does not reach it. `stop_signal` asks it to end;
    after `grace` seconds it is killed, together with all processes that it has started in its
    group. `folder` is created for the child and removed afterwards. `cwd`, `env`, `stdout` and
    `stderr` are those of `subprocess.Popen`, but pipes are not supported.

    Raises FileNotFoundError when there is no such command, and OSError when the child cannot be
    started.
    """

    def __init__(
        self,
        args: Sequence[str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        folder: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 5.0,
    ) -> None:
        executable = shutil.which(args[0])
        if executable is None:
            raise FileNotFoundError(f"There is no command {args[0]!r}.")
        self.args = tuple(args)
        self.pid = 0
        self.returncode: int | None = None
        self.grace = grace
        self.folder = folder
        self._owner = os.getpid()
        self._report = b""
        self._lifeline, far_end = socket.socketpair()
        _running.add(self)
        try:
            with far_end:
                self._supervisor = subprocess.Popen(  # noqa: S603 (our own script)
                    [
                        # Isolated and without site-packages, so that it starts in a third of the
                        # time.
                        *(sys.executable, "-I", "-S", str(SUPERVISOR)),
                        *(str(int(stop_signal)), str(grace), str(folder or "")),
                        *(executable, *args[1:]),
                    ],
                    stdin=far_end.fileno(),
                    stdout=stdout,
                    stderr=stderr,
                    cwd=cwd,
                    env=env,
                    start_new_session=True,
                )
        except BaseException:
            _running.discard(self)
            self._lifeline.close()
            raise
        try:
            self.pid = self._read_pid()
        except BaseException:
            self.stop()
            raise

    def __repr__(self) -> str:
        state = "running" if self.returncode is None else f"ended: {self.returncode}"
        return f"<SupervisedProcess {self.pid} {self.args[0]} ({state})>"

    def poll(self) -> int | None:
        """Return the exit code (a signal as a negative number), or None while the child runs."""
        if self.returncode is None and self.is_ours and self._supervisor.poll() is not None:
            self._finish()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when the child has ended.

        Raises subprocess.TimeoutExpired after `timeout` seconds, and ChildProcessError in a forked
        copy of the process that started the child.
        """
        if self.returncode is None:
            if not self.is_ours:
                raise ChildProcessError(f"{self!r} belongs to process {self._owner}.")
            self._supervisor.wait(timeout)
            self._finish()
        assert self.returncode is not None  # noqa: S101 (for type checkers: _finish() has set it)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the child. Raises ProcessLookupError when it has ended."""
        if self.poll() is not None:
            raise ProcessLookupError(f"{self!r} has ended.")
        os.kill(self.pid, number)

    def stop(self) -> None:
        """End the child and all its processes, and wait until they are gone.

        May be called more than once. Does nothing in a forked copy of the process that started
        the child.
        """
        if self.returncode is not None or not self.is_ours:
            return
        with contextlib.suppress(OSError):
            self._lifeline.shutdown(socket.SHUT_WR)
        try:
            self._supervisor.wait(self.grace + SUPERVISOR_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        self._finish()

    @property
    def is_ours(self) -> bool:
        """Whether this process started the child: false in a forked copy of that process."""
        return self._owner == os.getpid()

    def _read_pid(self) -> int:
        self._lifeline.settimeout(SUPERVISOR_STARTS_WITHIN)
        while b"\n" not in self._report:
            received = self._lifeline.recv(64)
            if not received:
                raise OSError(f"{self.args[0]!r} cannot be started; its standard error says why.")
            self._report += received
        return int(self._report.split(b"\n")[0])

    def _finish(self) -> None:
        """Read how the child ended. If its supervisor was killed, clean up in its place."""
        self._lifeline.setblocking(False)  # the report has been written by now, or never will be
        with contextlib.suppress(ConnectionError, BlockingIOError):
            while received := self._lifeline.recv(64):
                self._report += received
        lines = self._report.split()
        if len(lines) > 1:
            self.returncode = int(lines[1])
        else:
            self._clean_up()
            self.returncode = -signal.SIGKILL
        self._lifeline.close()
        _running.discard(self)

    def _clean_up(self) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _stop_all() -> None:
    for process in list(_running):
        process.stop()


def _let_go() -> None:
    """Close the lifelines that a forked child inherits, so that it does not keep them open after
    its parent has ended.
    """
    for process in _running:
        process._lifeline.close()
    _running.clear()


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_let_go)
