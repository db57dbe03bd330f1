"""A server whose clock a test sets, by way of a small library that is compiled for it."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from django_redislock.testing.servers import EmbeddedServer, find_binary

__all__ = ["ServerClock", "server_with_clock"]

SOURCE = Path(__file__).with_name("set_clock.c")
# Any date will do, so long as it is the same in every run.
START = 2_000_000_000 * 1_000_000


class ServerClock:
    """The time of day of a server, in microseconds. It stands until it is set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(mmap.PAGESIZE))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._now = 0

    def set(self, microseconds: int) -> None:
        self._now = microseconds
        self._page[:8] = struct.pack("=q", microseconds)

    def advance(self, seconds: float) -> float:
        """Set it forward; returns the new time in seconds."""
        self.set(self._now + round(seconds * 1_000_000))
        return self._now / 1_000_000


def server_with_clock(folder: Path) -> tuple[EmbeddedServer, ServerClock]:
    """A server that is not started yet, and its clock. Skips where there is no C compiler."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("a C compiler is needed to set a server's clock")
    library, clock = folder / "set_clock.so", ServerClock(folder / "clock")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
    subprocess.run([*command, "-o", str(library), str(SOURCE)], check=True)
    # The library is for the server alone, not for the process that watches over it.
    start = folder / "server"
    start.write_text(
        f'#!/bin/sh\nLD_PRELOAD="{library}" CLOCK_FILE="{clock.path}" exec "{find_binary()}" "$@"\n'
    )
    start.chmod(0o700)
    return EmbeddedServer(binary=str(start)), clock
