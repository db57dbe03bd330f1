"""Ends of real servers, which leave no lock behind. The lease is a minute."""

from __future__ import annotations

import importlib.util
import socket
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from django_redislock import lock_backends
from django_redislock.testing import assert_locked, assert_not_locked
from django_redislock.testing.servers import free_port
from tests.support.processes import wait_until
from tests.tasks.board import Board
from tests.tasks.programs import Program, running

WITHIN = 30.0  # seconds; a deadline for a machine under load, not an expectation

pytestmark = pytest.mark.timeout(180)

GUNICORN = ("gunicorn", "--worker-class", "sync", "--workers", "1")
UVICORN = ("uvicorn", "tests.tasks.applications:asgi", "--lifespan", "off")
LIFESPAN = ("uvicorn", "tests.tasks.applications:asgi_with_lifespan", "--lifespan", "on")
SERVERS = {
    "gunicorn": (*GUNICORN, "tests.tasks.applications:wsgi", "--bind"),
    "gunicorn --preload": (*GUNICORN, "--preload", "tests.tasks.preloaded:wsgi", "--bind"),
    "uvicorn": (*UVICORN, "--port"),
    "uvicorn with lifespan": (*LIFESPAN, "--port"),
    "uvicorn with lifespan --workers": (*LIFESPAN, "--workers", "2", "--port"),
}
# The messages that they write after SIGTERM.
ENDING = {"gunicorn": "Handling signal: term", "uvicorn": "Shutting down"}


class Site:
    def __init__(self, program: Program, name: str, port: int) -> None:
        self.program = program
        self._name = name
        self._url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self._url}/{path}", timeout=WITHIN) as answer:  # noqa: S310
            text: str = answer.read().decode()
            return text

    def terminate(self) -> None:
        """Send SIGTERM; return when it has reacted."""
        self.program.terminate()
        self.program.says(ENDING[self._name])


@contextmanager
def served(server: str, prefix: str) -> Iterator[Site]:
    name = server.partition(" ")[0]
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    port = free_port()
    address = str(port) if name == "uvicorn" else f"127.0.0.1:{port}"
    with running(prefix, "-m", *SERVERS[server], address) as program:
        wait_until(lambda: _listens(program, port), within=40, what="it serves")
        yield Site(program, name, port)


def _listens(program: Program, port: int) -> bool:
    assert program.process.poll() is None, program.said
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def board(key_prefix: str, redis_url: str) -> Iterator[Board]:
    board = Board(redis_url, key_prefix)
    yield board
    board.close()


@pytest.fixture
def requests() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.mark.parametrize(
    ("server", "view"),
    [
        ("gunicorn", "work"),
        ("gunicorn --preload", "work"),
        ("uvicorn", "work"),
        ("uvicorn", "awork"),
    ],
)
def test_a_request_is_finished_and_releases_its_lock(
    server: str, view: str, key_prefix: str, board: Board, requests: ThreadPoolExecutor
) -> None:
    with served(server, key_prefix) as site:
        answer: Future[str] = requests.submit(site.get, f"{view}/a")
        board.take("a began")
        assert_locked("a")
        site.terminate()
        board.put("a may end")
        assert answer.result(WITHIN) == "a done"
        ended_at = site.program.ended()
        assert_not_locked("a")
        assert time.monotonic() - ended_at < 20


@pytest.mark.parametrize("server", [one for one in SERVERS if one != "uvicorn"])
def test_locks_of_an_ending_process_are_released(server: str, key_prefix: str) -> None:
    with served(server, key_prefix) as site:
        assert site.get("keep/a") == "True"
        (hold,) = assert_locked("a")
        assert hold.remaining > 30
        site.terminate()
        site.program.ended()
        assert_not_locked("a")


def test_uvicorn_ends_without_releasing_locks(key_prefix: str) -> None:
    """It ends by the signal itself, so holds beyond a request last until their leases end."""
    with served("uvicorn", key_prefix) as site:
        assert site.get("keep/a") == "True"
        site.terminate()
        site.program.ended()
        assert_locked("a")


def test_a_killed_process_releases_nothing(key_prefix: str) -> None:
    """This shows that the other tests can fail."""
    with served("gunicorn", key_prefix) as site:
        site.get("keep/a")
        (hold,) = assert_locked("a")
        site.program.kill_all()
        site.program.ended()
        assert [one.token for one in lock_backends["default"].inspect("a")[0]] == [hold.token]
