"""Child process of ``withlock``: it runs a command, passes signals on to it, and can end it."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType

__all__ = ["CANNOT_BE_RUN", "Child"]

GUARD = Path(__file__).with_name("guard.py")
CANNOT_BE_RUN = 126

# Signals that ask a process to end or to reload its settings, and those for its own purposes.
PASSED_ON = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)
# Signals that a terminal sends to all processes in its foreground, including the child.
FROM_TERMINAL = ("SIGINT", "SIGQUIT", "SIGHUP")


class Child:
    """A command with our standard streams, our process group and our terminal.

    ``executable`` is the path of the command, ``command`` its name and arguments. With
    ``dies_with_us`` it is killed when this process ends, even by ``kill -9`` (on Linux).
    """

    def __init__(self, executable: str, command: Sequence[str], *, dies_with_us: bool) -> None:
        self._executable = executable
        self._command = list(command)
        self._is_guarded = dies_with_us and sys.platform.startswith("linux")
        if self._is_guarded:
            # Isolated and without site-packages, so that it starts in a third of the time.
            guard = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid())]
            self._command = [*guard, executable, *command]
            self._executable = sys.executable
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._starting = threading.Lock()
        self._killer: threading.Timer | None = None
        self.was_ended = False

    def run(self, environment: Mapping[str, str]) -> int:
        """Run the command and return its exit code as a shell does: 128 + n if signal n ended it.

        Raises ``OSError`` if the command cannot be run.
        """
        in_main_thread = threading.current_thread() is threading.main_thread()
        with self._forwarded_signals() if in_main_thread else nullcontext() as wait_for_signal:
            with self._starting:
                if self.was_ended:
                    return 128 + signal.SIGTERM
                self._process = self._start(environment)
            for number in self._early:
                self._process.send_signal(number)
            if wait_for_signal is not None:
                # It may be blocked in the program that started this process.
                with _masked(signal.SIG_UNBLOCK, signal.SIGCHLD):
                    while self._process.poll() is None:
                        wait_for_signal()
            code = self._process.wait()
        if self._killer is not None:
            self._killer.cancel()
        return code if code >= 0 else 128 - code

    def end(self, grace: float) -> None:
        """Send SIGTERM, from any thread, and SIGKILL if the command still runs after ``grace``
        seconds, which may be infinite.
        """
        with self._starting:
            self.was_ended = True
            if self._process is None:
                return
        self._process.terminate()
        if grace > threading.TIMEOUT_MAX:
            return
        self._killer = threading.Timer(grace, self._process.kill)
        self._killer.daemon = True
        self._killer.start()

    def _start(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        # A Ctrl-C waits until the guard is ready to exec: the start of Python would print errors.
        with _masked(signal.SIG_BLOCK, signal.SIGINT) if self._is_guarded else nullcontext():
            return subprocess.Popen(  # noqa: S603 - the command that was asked for, and no shell
                self._command,
                executable=self._executable,
                env=dict(environment),
                # The command may need files that our own parent has opened for it.
                close_fds=False,
            )

    @contextmanager
    def _forwarded_signals(self) -> Iterator[Callable[[], None]]:
        """Pass signals on. Yields a function that waits for a signal or for the end of the child.

        A signal may reach any thread, so it may not interrupt this thread while it waits for the
        child.
        """
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        before = {signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda number, frame: None)}
        for number in PASSED_ON:
            # A signal that is ignored here (nohup) is ignored by the child, too.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, self._pass_on)

        def wait_for_signal() -> None:
            with selectors.DefaultSelector() as selector:
                selector.register(reader, selectors.EVENT_READ)
                selector.select()
            with suppress(BlockingIOError):
                os.read(reader, 4096)

        try:
            yield wait_for_signal
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)
            signal.set_wakeup_fd(wakeup_before)
            os.close(reader)
            os.close(writer)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        process = self._process
        if process is None:
            self._early.append(number)
        elif not (signal.Signals(number).name in FROM_TERMINAL and _in_foreground(process.pid)):
            process.send_signal(number)


@contextmanager
def _masked(how: int, number: int) -> Iterator[None]:
    """Block or unblock a signal in this thread."""
    before = signal.pthread_sigmask(how, [number])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_foreground(child: int) -> bool:
    """Whether a terminal sends its signals to both this process and the child."""
    group = os.getpgrp()
    with suppress(OSError):
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY)
        try:
            return os.tcgetpgrp(terminal) == group == os.getpgid(child)
        finally:
            os.close(terminal)
    return False
