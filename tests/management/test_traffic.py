from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from django_redislock.testing.servers import EmbeddedServer
from tests.support.processes import wait_until

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


def started(url: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    return subprocess.Popen(
        [sys.executable, "manage.py", "traffic", "--processes", "2", "--threads", "3"],
        cwd=ROOT,
        env={**environment, "REDIS_URL": url},
        stderr=subprocess.PIPE,
        text=True,
    )


def holders(url: str) -> set[int]:
    listed = json.loads(manage(url, "listlocks", "--format", "json").stdout)
    return {one["holder"]["pid"] for one in listed}


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_traffic_that_is_ended_takes_its_processes_with_it(number: signal.Signals) -> None:
    with EmbeddedServer() as server, started(server.url) as traffic:
        wait_until(lambda: len(holders(server.url)) == 2)
        (child,) = holders(server.url) - {traffic.pid}
        traffic.send_signal(number)
        traffic.wait(20)
        wait_until(lambda: not runs(child), within=20)
        if number != signal.SIGKILL:
            assert traffic.communicate()[1] == "Ending; what is held is released.\n"
            assert holders(server.url) == set()


def test_traffic_without_redis_says_so() -> None:
    url = "redis://127.0.0.1:1/0"
    done = manage(url, "traffic", "--processes", "1", "--threads", "2", "--seconds", "20")
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert "Traceback" not in done.stderr
