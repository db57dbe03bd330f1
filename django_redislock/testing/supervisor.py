"""The small process that stands between a launcher and its child, and outlives neither.

It is run as a script by `launcher.py`, in a session of its own, so that Ctrl-C in a terminal does
not reach it. Its standard input is one end of a socket pair (the lifeline) whose other end only
the launching process holds: when that process ends, however it ends, the lifeline reads as
closed. The supervisor then ends the child with all the child has started, and removes the folder
that it had made for it. Should the supervisor itself be killed, the kernel kills the child (on
Linux), and the launching process removes the folder.

It writes two lines to the lifeline: the child's pid, then how the child ended (an exit code, or a
signal as a negative number).

Arguments: the signal that asks the child to end, the seconds until it is killed, the folder to
make (or an empty string), the child's command.

Only the standard library is imported, and little of that: each import delays the child.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # as type checkers know it: importing typing would double the start time
if TYPE_CHECKING:
    from collections.abc import Callable

LIFELINE = 0
PR_SET_PDEATHSIG = 1
IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGPIPE)
# What Python or we ignore would be ignored by the child, too: that is inherited through exec.
RESTORED = (*IGNORED, signal.SIGTERM, signal.SIGCHLD, getattr(signal, "SIGXFSZ", signal.SIGPIPE))


def main(stop_signal: int, grace: float, folder: str, command: list[str]) -> None:
    """Run `command` until it ends or the lifeline closes; leave nothing of it behind."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    if folder:
        os.mkdir(folder, 0o700)  # noqa: PTH102 (importing pathlib costs as much as all the rest)
    try:
        wakeups = _wakeups()
        child = _start(command)
        _report(child)
        status = _watch(child, wakeups, stop_signal, grace)
        _signal_group(child, signal.SIGKILL)  # what the child started and left behind
    finally:
        if folder:
            import shutil

            shutil.rmtree(folder, ignore_errors=True)
    _report(status)


def _wakeups() -> int:
    """Return a descriptor that becomes readable when the child ends or we are told to."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
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
        # It closes with the exec. A signal that comes before might still be ignored.
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
        for number in RESTORED:
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, LIFELINE)
        os.execvp(command[0], command)  # noqa: S606 (the launcher's own arguments, and no shell)
    except OSError as error:
        os.write(error_writer, f"{command[0]}: {error}\n".encode())
    return os._exit(127)


def _die_with_parent() -> Callable[[], object]:
    """Return what makes the calling process die with its parent, looked up before the fork.

    The kernel counts the death of the parent's *thread*, which is why nothing with threads may
    start the child: this process has one thread, and waits for the child in it.
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
        stop = wakeups in ready and signal.SIGTERM in os.read(wakeups, 4096)
        stop = stop or (LIFELINE in ready and not _still_held())
        if (ended := _ended(child)) is not None:
            return ended
    _signal_group(child, stop_signal)
    _signal_group(child, signal.SIGCONT)  # a stopped process does not hear the other one
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


def _still_held() -> bool:
    with contextlib.suppress(ConnectionError):
        return bool(os.read(LIFELINE, 1))
    return False


def _signal_group(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, number)


def _report(number: int) -> None:
    with contextlib.suppress(ConnectionError):
        os.write(LIFELINE, b"%d\n" % number)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:])
    os._exit(0)  # there is nothing to finalize, and somebody waits for us
