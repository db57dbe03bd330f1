from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from django.core.management import call_command

from django_redislock import lock_backends
from django_redislock.testing.override import override_locks
from django_redislock.testing.servers import EmbeddedServer
from example_project.tickets.management.commands.traffic import Command
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


def test_traffic_of_several_processes_ends_and_leaves_nothing_behind() -> None:
    with EmbeddedServer() as server:
        done = manage(
            server.url, "traffic", "--processes", "2", "--threads", "3", "--seconds", "1.5"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert manage(server.url, "listlocks").stdout == "No lock is held.\n"


@contextmanager
def started(url: str) -> Iterator[subprocess.Popen[str]]:
    """Traffic that ends with the block, whatever happens there."""
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    with subprocess.Popen(
        [sys.executable, "manage.py", "traffic", "--processes", "2", "--threads", "3"],
        cwd=ROOT,
        env={**environment, "REDIS_URL": url},
        stderr=subprocess.PIPE,
        text=True,
    ) as traffic:
        try:
            yield traffic
        finally:
            traffic.kill()


def holders(url: str) -> set[int]:
    """The processes that hold a lock of the example."""
    with override_locks(url, KEY_PREFIX="lock"):
        return {one.holder.pid for one in lock_backends["default"].list().holds}


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ending_the_traffic_ends_its_processes(number: signal.Signals) -> None:
    with EmbeddedServer() as server, started(server.url) as traffic:
        # Now and then each of them holds nothing for a moment.
        seen: set[int] = set()
        wait_until(lambda: seen.update(holders(server.url)) or len(seen) == 2)
        (child,) = seen - {traffic.pid}
        traffic.send_signal(number)
        traffic.wait(20)
        wait_until(lambda: not runs(child), within=20)
        if number != signal.SIGKILL:
            assert traffic.communicate()[1] == "Stopping; the held locks are released.\n"
            assert holders(server.url) == set()


def test_a_signal_may_come_while_the_command_uses_a_mutex(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python calls the handler in the main thread, between any two bytecodes of it."""
    handlers: dict[int, Callable[[int, None], object]] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)

    def interrupt(frame: FrameType, event: str, function: object) -> None:
        has_mutex = event == "call" and frame.f_code is threading.Condition.wait.__code__
        if has_mutex and frame.f_back is not None and frame.f_back.f_back is not None:
            has_mutex = frame.f_back.f_back.f_code is Command.handle.__code__
        if has_mutex or (event == "c_call" and function is time.sleep):
            handlers[signal.SIGTERM](signal.SIGTERM, None)

    def command() -> None:
        sys.setprofile(interrupt)
        call_command("traffic", "--processes", "1", "--threads", "1", "--verbosity", "0")

    thread = threading.Thread(target=command, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_traffic_without_redis_is_an_error() -> None:
    url = "redis://127.0.0.1:1/0"
    done = manage(url, "traffic", "--processes", "1", "--threads", "2", "--seconds", "20")
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert "Traceback" not in done.stderr
