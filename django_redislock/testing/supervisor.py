"""Supervisor script: a small process between a launcher and its child that outlives neither.

`launcher.py` runs it in its own session, so that Ctrl-C in a terminal does not reach it. Its
standard input is one end of a socket pair (the lifeline), and only the launching process has the
other end. When that process ends, for whatever reason, the lifeline reads as closed. The supervisor
then ends the child and all processes that the child has started, and removes the child's folder. If
the supervisor itself is killed, the kernel kills the child (on Linux), and the launching process
removes the folder.

It writes two lines to the lifeline: the child's pid, then how the child ended (an exit code, or a
signal as a negative number).

Arguments: the signal that asks the child to end, the seconds until it is killed, the folder to
make (or an empty string), the child's command.

It imports only a little of the standard library, because each import delays the child.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # not from typing, whose import would double the start time
if TYPE_CHECKING:
    from collections.abc import Callable

LIFELINE = 0
PR_SET_PDEATHSIG = 1
# Signals that Python or this script ignores. An exec would pass that on to the child.
IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ)


def main(stop_signal: int, grace: float, folder: str, command: list[str]) -> None:
    """Run `command` until it ends or the lifeline closes, then clean up after it."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    if folder:
        os.mkdir(folder, 0o700)  # noqa: PTH102 (importing pathlib costs as much as all the rest)
    try:
        wakeups = _wakeups()
        child = _start(command)
        _report(child)
        status = _watch(child, wakeups, stop_signal, grace)
        _signal_group(child, signal.SIGKILL)  # processes that the child has left behind
    finally:
        if folder:
            import shutil

            shutil.rmtree(folder, ignore_errors=True)
    _report(status)


def _wakeups() -> int:
    """Return a descriptor that becomes readable on SIGCHLD and SIGTERM."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    return reader


def _start(command: list[str]) -> int:
    die_with_parent = _die_with_parent()
    supervisor = os.getpid()
    errors, error_writer = os.pipe()
    child = os.fork()
    if child:
        os.close(error_writer)
        # The exec closes this pipe. Wait for that, as an earlier signal might be ignored.
        if error := os.read(errors, 4096):
            os.write(2, error)
            raise SystemExit(127)
        os.close(errors)
        return child
    try:
        os.setpgid(0, 0)
        die_with_parent()
        if os.getppid() != supervisor:
            return os._exit(0)
        signal.set_wakeup_fd(-1)
        for number in IGNORED:
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, LIFELINE)
        os.execvp(command[0], command)  # noqa: S606 (the launcher's own arguments, and no shell)
    except OSError as error:
        os.write(error_writer, f"{command[0]}: {error}\n".encode())
    return os._exit(127)


def _die_with_parent() -> Callable[[], object]:
    """Return a function, looked up before the fork, that makes its process die with the parent.

    For the kernel, the parent is the *thread* that forked. So a process with threads must not start
    the child. This process has a single thread, which waits for the child.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _watch(child: int, wakeups: int, stop_signal: int, grace: float) -> int:
    """Return how the child ended: an exit code, or a signal as a negative number."""
    stop = False
    while not stop:
        ready, _, _ = select.select([LIFELINE, wakeups], [], [])
        # The launching process writes nothing, so a lifeline that can be read has ended.
        stop = LIFELINE in ready or signal.SIGTERM in os.read(wakeups, 4096)
        if (ended := _ended(child)) is not None:
            return ended
    _signal_group(child, stop_signal)
    _signal_group(child, signal.SIGCONT)  # a stopped process does not react to the other signal
    deadline = time.monotonic() + grace
    while (left := deadline - time.monotonic()) > 0:
        if select.select([wakeups], [], [], left)[0]:
            os.read(wakeups, 4096)
        if (ended := _ended(child)) is not None:
            return ended
    _signal_group(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _ended(child: int) -> int | None:
    pid, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def _signal_group(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, number)


def _report(number: int) -> None:
    with contextlib.suppress(ConnectionError):
        os.write(LIFELINE, b"%d\n" % number)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:])
    os._exit(0)  # skip finalization: there is nothing to finalize, and the launcher is waiting
