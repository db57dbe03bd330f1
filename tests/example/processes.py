"""Runs of ``manage.py demo``, and checks that they leave nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 100.0  # seconds; a deadline for a machine under load, not an expectation
SMALL = ("--tickets", "20", "--buyers", "40", "--servers", "2")


class Demo:
    """A run of the demo. All its folders are created in ``folder``."""

    def __init__(self, folder: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.log = folder.with_name("output.txt")
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "demo", *options],
                cwd=ROOT,
                env=environment(folder, env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def output(self) -> str:
        return self.log.read_text()

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE)

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until the output matches."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.output(), re.MULTILINE)
            assert found or self.process.poll() is None, self.output()
            return found

        return eventually(look, lambda: f"{pattern!r} is not in:\n{self.output()}")

    def stop(self) -> None:
        """End a run that a failed test has left."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(PATIENCE)


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a user without any configuration but the temporary folder."""
    configured = {"DATABASE_URL", "REDIS_URL", "COLUMNS", "FORCE_COLOR", "CHARGE_SECONDS"}
    own = {name: value for name, value in os.environ.items() if name not in configured}
    settings = {"DJANGO_SETTINGS_MODULE": "example_project.settings", "TMPDIR": str(folder)}
    return {**own, **settings, "PYTHONUTF8": "1", **(more or {})}


def eventually(look: Callable[[], object], failure: Callable[[], str]) -> Any:
    """Return what ``look`` returns once that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, failure()
        time.sleep(0.02)
    return found


def family(pid: int) -> dict[int, str]:
    """The process and all that descend from it: pid -> command."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    parents, names = {}, {}
    for line in listed.stdout.splitlines():
        own, parent, name = line.split(maxsplit=2)
        parents[int(own)], names[int(own)] = int(parent), name
    members = {pid}
    while more := {child for child, parent in parents.items() if parent in members} - members:
        members |= more
    return {member: names[member] for member in members if member in names}


def alive(processes: Mapping[int, str]) -> dict[int, str]:
    """Those of the processes that still run; a pid with another command is another process."""
    asked = ",".join(map(str, processes))
    listed = subprocess.run(  # it fails if none of them exists
        ["ps", "-ww", "-o", "pid=,stat=,args=", "-p", asked],
        capture_output=True,
        text=True,
        check=False,
    )
    now = {}
    for line in listed.stdout.splitlines():
        pid, state, name = line.split(maxsplit=2)
        if not state.startswith("Z"):
            now[int(pid)] = name
    return {pid: name for pid, name in processes.items() if now.get(pid) == name}


def listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def assert_nothing_is_left(demo: Demo, processes: Mapping[int, str], *ports: int) -> None:
    """Wait until there is no process, folder or socket of the run."""

    def left() -> list[object]:
        return [*alive(processes).values(), *demo.folder.iterdir(), *filter(listening, ports)]

    eventually(lambda: not left(), lambda: f"left behind: {left()}\n{demo.output()}")
