"""Becomes a command that does not outlive the process that started it. Run as a script.

Only a process itself can ask the kernel for that, and after a fork of a process with threads
nothing may be done but an exec: hence this one in between. Linux only.

Arguments: the pid of the process to die with, the executable, and the command's own arguments, the
first of which is its name. Ends with 126 if the command cannot be run.
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
    # What Python ignores would be ignored by the command, too: that is inherited through exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(executable, command)  # noqa: S606 - the command that was asked for, and no shell
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    sys.exit(CANNOT_BE_RUN)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
