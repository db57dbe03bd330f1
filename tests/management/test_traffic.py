from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from django_redislock.testing.servers import EmbeddedServer

ROOT = Path(__file__).parent.parent.parent


def manage(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**environment, "REDIS_URL": url},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_traffic_of_several_processes_ends_and_leaves_nothing() -> None:
    with EmbeddedServer() as server:
        done = manage(
            server.url, "traffic", "--processes", "2", "--threads", "3", "--seconds", "1.5"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert manage(server.url, "listlocks").stdout == "No lock is held.\n"


def test_traffic_without_redis_says_so() -> None:
    url = "redis://127.0.0.1:1/0"
    done = manage(url, "traffic", "--processes", "1", "--threads", "2", "--seconds", "20")
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert "Traceback" not in done.stderr
