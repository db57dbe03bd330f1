"""Server whose clock a test can set, with a small library that is compiled for it."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from django_redislock.testing.servers import EmbeddedServer, find_binary

__all__ = ["START", "ServerClock", "missing", "server_with_clock"]

SOURCE = Path(__file__).with_name("server_clock.c")
# Any date will do, as long as it is the same in every run.
START = 2_000_000_000 * 1_000_000


class ServerClock:
    """The time of day of a server, in microseconds. It is the true time until it is set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(mmap.PAGESIZE))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._now = 0

    def set(self, microseconds: int) -> None:
        self._now = microseconds
        self._page[:8] = struct.pack("=q", microseconds)

    def shift(self, seconds: float) -> None:
        """Let the clock run, ahead of the true time by this many seconds, or behind it."""
        self._page[:16] = struct.pack("=qq", 0, round(seconds * 1_000_000))

    def advance(self, seconds: float) -> float:
        """Set the clock forward, and return the new time in seconds."""
        self.set(self._now + round(seconds * 1_000_000))
        return self._now / 1_000_000


def missing() -> str:
    """Return what this machine lacks for such a clock; empty if nothing is missing."""
    if not sys.platform.startswith("linux"):
        return "only on Linux can a library set a server's clock"
    return "" if shutil.which("cc") else "a C compiler is needed to set a server's clock"


def server_with_clock(folder: Path) -> tuple[EmbeddedServer, ServerClock]:
    """Return a server that is not started yet, and its clock. Skips if something is missing."""
    if reason := missing():
        pytest.skip(reason)
    library, clock = folder / "server_clock.so", ServerClock(folder / "clock")
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
    subprocess.run([*command, "-o", str(library), str(SOURCE)], check=True)
    # The library is only for the server, not for its supervisor.
    start = folder / "server"
    start.write_text(
        f'#!/bin/sh\nLD_PRELOAD="{library}" CLOCK_FILE="{clock.path}" exec "{find_binary()}" "$@"\n'
    )
    start.chmod(0o700)
    return EmbeddedServer(binary=str(start)), clock
