"""Wrapper script for a command that must not outlive the process that started it. Linux only.

Only a process itself can ask the kernel for this, and a process with threads can safely do nothing
but an exec after a fork. So this script runs in between, and then executes the command.

Arguments: the pid of the process to die with, the executable, and the command's own arguments, the
first of which is its name. Exits with 126 if the command cannot be run.
"""

from __future__ import annotations

import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CANNOT_BE_RUN = 126


def main(parent: int, executable: str, command: list[str]) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        return
    # Python ignores these signals, and an exec would pass that on to the command.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    # SIGINT is blocked until here, where Python no longer has to handle it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    try:
        os.execv(executable, command)  # noqa: S606 - the command that was asked for, and no shell
    except OSError as error:
        try:
            os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        finally:  # also if the standard error is closed
            sys.exit(CANNOT_BE_RUN)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
