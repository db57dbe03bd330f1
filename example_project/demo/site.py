"""The demo's site: its own processes, and a folder that is removed when they end."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import quote

from django_redislock.testing.launcher import SupervisedProcess

ROOT = Path(__file__).parents[2]
LAST_WORDS = 2000  # bytes of the site's output that a failure shows


class SiteFailed(Exception):
    """The site could not start, or has ended; the message is its output."""


@dataclass(frozen=True)
class Site:
    """``offices``: the ports for buyers. ``port``: the port of the page."""

    offices: list[int]
    port: int
    password: str  # of the admin user
    process: SupervisedProcess
    output: IO[bytes]

    def wait(self) -> NoReturn:
        """Wait while the site runs. Raises SiteFailed when it has ended."""
        self.process.wait()
        raise SiteFailed(_last_words(self.output))


@contextmanager
def running_site(offices: int, port: int, redis_url: str) -> Iterator[Site]:
    """Start the site. None of its processes or folders is left behind, however this process ends.

    Its database is DATABASE_URL, or a new one in its folder. If ``port`` is 0 or taken, the page
    gets a free port. Raises SiteFailed.
    """
    folder = Path(tempfile.gettempdir(), f"redislock-demo-{secrets.token_hex(8)}")
    password = secrets.token_urlsafe(9)
    throwaway = f"sqlite:///{quote(str(folder / 'demo.sqlite3'))}"
    environment = {
        **os.environ,
        "DATABASE_URL": os.environ.get("DATABASE_URL") or throwaway,
        "REDIS_URL": redis_url,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "DEMO_ADMIN_PASSWORD": password,
    }
    command = [sys.executable, "-m", "example_project.demo.servers", str(offices), str(port)]
    reader, writer = os.pipe()
    with os.fdopen(reader) as announcement, tempfile.TemporaryFile() as output:
        try:
            process = SupervisedProcess(
                command,
                cwd=ROOT,
                env=environment,
                stdout=writer,
                stderr=output,
                folder=folder,
            )
        finally:
            os.close(writer)
        try:
            ready = announcement.readline()
            if not ready:
                raise SiteFailed(_last_words(output))
            *private, public = json.loads(ready)
            yield Site(private, public, password, process, output)
        finally:
            process.stop()


def _last_words(output: IO[bytes]) -> str:
    # Not read(): the offset is shared with the processes that write there.
    size = os.fstat(output.fileno()).st_size
    start = max(0, size - LAST_WORDS)
    return os.pread(output.fileno(), LAST_WORDS, start).decode(errors="replace").strip()
