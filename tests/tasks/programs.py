"""Programs: servers and workers as processes, which end with their test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.processes import wait_until

ROOT = Path(__file__).parents[2]
WITHIN = 40.0  # seconds; a deadline for a machine under load, not an expectation


class Program:
    """A running program, and what it has written."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def said(self) -> str:
        return self._output.read_text(errors="replace")

    def says(self, text: str) -> None:
        """Wait until it has written this. Raises AssertionError if it has ended."""

        def said() -> bool:
            assert self.process.poll() is None, self.said
            return text in self.said

        wait_until(said, within=WITHIN, what=f"it says {text!r}")

    def terminate(self) -> None:
        """Send SIGTERM, as a deployment does."""
        self.process.send_signal(signal.SIGTERM)

    def kill_all(self) -> None:
        """Kill it and its children, as `kill -9` does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def ended(self) -> float:
        """Wait until it has ended; return when that was (monotonic)."""
        self.process.wait(WITHIN)
        return time.monotonic()


@contextmanager
def running(prefix: str, *args: str) -> Iterator[Program]:
    """Run `python ARGS` with the settings of workers; its output is shown when the test fails."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.tasks.worker_settings",
        "REDISLOCK_TEST_PREFIX": prefix,
        "PYTHONPATH": str(ROOT),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "output"
        with path.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *args],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        program = Program(process, path)
        try:
            yield program
        finally:
            program.kill_all()
            process.wait()
            sys.stdout.write(program.said)
