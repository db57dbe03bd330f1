"""Runs of `withlock` in a terminal, which sends its signals to the command, too."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django_redislock.testing import assert_locked, assert_not_locked
from tests.commands.command_line import CommandLine
from tests.support.processes import WITHIN, freeze, thaw

CTRL_C = b"\x03"
# Two signals may cause one call of a handler in Python, but two bytes on its wake-up pipe.
COUNTING = """
import os, signal
reader, writer = os.pipe()
os.set_blocking(writer, False)
signal.set_wakeup_fd(writer)
for number in (signal.SIGINT, signal.SIGUSR1):
    signal.signal(number, lambda *_: None)
print("at work", flush=True)
seen = b""
while signal.SIGUSR1 not in seen:
    seen += os.read(reader, 100)
    print("interrupts:", seen.count(signal.SIGINT), flush=True)
print("typed:", input(), flush=True)
"""
INTERRUPTIBLE = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_DFL)
print("at work", flush=True)
time.sleep(60)
"""


class Terminal:
    def __init__(self, pid: int, master: int) -> None:
        self.pid = pid
        self.master = master
        self.said = b""

    def until(self, text: bytes) -> None:
        deadline = time.monotonic() + WITHIN
        while text not in self.said:
            left = deadline - time.monotonic()
            assert left > 0, self.said
            if select.select([self.master], [], [], left)[0]:
                self.said += os.read(self.master, 4096)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def exit_code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def terminal(manage: CommandLine, *args: str) -> Iterator[Terminal]:
    """The command in a new session, in the foreground of its own terminal."""
    setup = (
        "import fcntl, os, sys, termios\n"
        "os.setsid()\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    master, slave = pty.openpty()
    # Ctrl-C would also discard unread output, for which a test waits.
    attributes = termios.tcgetattr(slave)
    attributes[3] |= termios.NOFLSH
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", setup, *manage.arguments(*args)],
        manage.environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, slave, fd) for fd in (0, 1, 2)],
    )
    os.close(slave)
    shell = Terminal(pid, master)
    try:
        yield shell
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(master)


def test_ctrl_c_reaches_the_command_once(manage: CommandLine) -> None:
    with terminal(manage, "withlock", "a", "--", sys.executable, "-c", COUNTING) as shell:
        shell.until(b"at work")
        # The signal that withlock passes on must not be merged with that of the terminal.
        freeze(shell.pid)
        shell.type(CTRL_C)
        shell.until(b"interrupts: 1")
        thaw(shell.pid)
        os.kill(shell.pid, signal.SIGUSR1)
        shell.type(b"a line\n")
        shell.until(b"typed: a line")
        assert b"interrupts: 2" not in shell.said
        assert shell.exit_code() == 0
    assert_not_locked("a")


def test_ctrl_c_ends_withlock_and_the_command(manage: CommandLine) -> None:
    with terminal(manage, "withlock", "a", "--", sys.executable, "-c", INTERRUPTIBLE) as shell:
        shell.until(b"at work")
        assert_locked("a")
        shell.type(CTRL_C)
        assert shell.exit_code() == 130
        assert b"Traceback" not in shell.said
    assert_not_locked("a")
