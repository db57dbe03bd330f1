"""Child processes, as seen from within the process that starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from django_redislock.management import children
from django_redislock.management.children import Child
from tests.support.processes import wait_until


class Interrupted(Child):
    """A child during whose start this process gets a signal."""

    def _start(self, environment: Any) -> subprocess.Popen[bytes]:
        os.kill(os.getpid(), signal.SIGTERM)
        return super()._start(environment)


def test_a_signal_during_the_start_is_passed_on_later() -> None:
    before = signal.getsignal(signal.SIGTERM)
    child = Interrupted("/bin/sh", ["sh", "-c", "sleep 60"], dies_with_us=False)
    assert child.run(dict(os.environ)) == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_to_another_thread_is_passed_on(tmp_path: Path) -> None:
    """Such a signal does not interrupt the wait of this thread for the child."""
    running = tmp_path / "running"
    child = Child("/bin/sh", ["sh", "-c", f"touch {running}; exec sleep 40"], dies_with_us=False)

    def interrupt() -> None:
        wait_until(running.exists)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    began = time.monotonic()
    assert child.run(dict(os.environ)) == 128 + signal.SIGTERM
    assert time.monotonic() - began < 20
    interrupting.join()


def test_the_end_of_the_child_is_noticed_even_if_its_signal_is_blocked() -> None:
    """A program that starts this one may have blocked the signal, and a process inherits that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    try:
        child = Child("/bin/sh", ["sh", "-c", "sleep 0.3; exit 3"], dies_with_us=False)
        assert child.run(dict(os.environ)) == 3
        assert signal.SIGCHLD in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_child_that_was_ended_before_its_start_does_not_start() -> None:
    child = Child(sys.executable, [sys.executable, "-c", "raise SystemExit(3)"], dies_with_us=False)
    child.end(grace=0)
    assert child.run(dict(os.environ)) == 128 + signal.SIGTERM


def test_an_error_of_the_start_restores_the_signal_handlers() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(FileNotFoundError):
        Child("/no/such/command", ["command"], dies_with_us=False).run({})
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no guard elsewhere")
def test_ctrl_c_while_the_guard_starts_ends_the_command_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    guard = tmp_path / "guard.py"
    text = children.GUARD.read_text()
    ours = "from __future__ import annotations\n"
    assert ours in text
    interrupted = f"{ours}import os as _os\n_os.kill(_os.getpid(), {int(signal.SIGINT)})\n"
    guard.write_text(text.replace(ours, interrupted))
    monkeypatch.setattr(children, "GUARD", guard)
    child = Child("/bin/sh", ["sh", "-c", "exit 3"], dies_with_us=True)
    assert child.run(dict(os.environ)) == 128 + signal.SIGINT
    assert capfd.readouterr().err == ""
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
