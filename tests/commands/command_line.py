"""Command line: management commands in processes, as a shell or cron starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WITHIN = 50.0  # seconds; a deadline for a machine under load, not an expectation

Process = subprocess.Popen[str]


class CommandLine:
    """`manage.py` on the suite's Redis server, with the key prefix of one test."""

    def __init__(self, prefix: str) -> None:
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.commands.command_settings",
            "REDISLOCK_TEST_PREFIX": prefix,
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
        }

    def run(self, *args: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.arguments(*args),
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )

    @contextmanager
    def started(self, *args: object, **options: Any) -> Iterator[Process]:
        """Start a command; it is killed at the end of the block if it still runs."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            self.arguments(*args), env=self.environment, text=True, **{**pipes, **options}
        )
        try:
            with process:
                try:
                    yield process
                finally:
                    process.kill()
        finally:
            process.wait()

    def arguments(self, *args: object) -> list[str]:
        return [sys.executable, "-m", "django", *map(str, args)]


def line_of(process: Process) -> str:
    """The next line that a process writes, without its end.

    If the process hangs, the time limit of the test ends the wait.
    """
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def ended(process: Process) -> tuple[int, str]:
    """The exit code of a process, and the text of its standard error."""
    _, errors = process.communicate(timeout=WITHIN)
    return process.returncode, errors
