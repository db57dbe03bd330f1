"""Locks in workers of `gunicorn -k gevent --preload`, which loads the site before it forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from django_redislock.testing.servers import free_port
from tests.support.places import Place
from tests.support.processes import wait_until

pytest.importorskip("gevent")
pytest.importorskip("gunicorn")


def get(port: int, path: str) -> str:
    """The answer, or the error if there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=20) as answer:
            return str(answer.read().decode())
    except OSError as error:
        return repr(error)


@pytest.fixture
def port(place: Place) -> Iterator[int]:
    port = free_port()
    environment = {
        **os.environ,
        "KNOWN_FAULTS_URL": place.url,
        "KNOWN_FAULTS_PREFIX": place.prefix,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "--preload", "--bind"]
    server = subprocess.Popen(
        [*command, f"127.0.0.1:{port}", "tests.known_faults.preloaded:application"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    lines: list[str] = []
    reading = threading.Thread(target=lines.extend, args=(server.stderr,), daemon=True)
    reading.start()
    wait_until(lambda: any("Booting worker" in line for line in lines), what="a worker has begun")
    yield port
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    reading.join(5)
    server.stderr.close()


def test_requests_in_a_forked_gevent_worker_hold_and_renew(port: int) -> None:
    answers = [get(port, path) for path in ("a", "b", "a")]
    assert answers == ["held"] * 3
