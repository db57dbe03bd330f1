"""Launcher: child processes end with their owner, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from django_redislock.testing import launcher
from django_redislock.testing.launcher import SupervisedProcess
from tests.support.processes import freeze, kill_hard, process_gone, wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Callable[..., Owner]]:
    owners: list[Owner] = []

    def start(body: str) -> Owner:
        owners.append(Owner(body, tmp_path))
        return owners[-1]

    yield start
    for each in owners:
        with each.process:
            each.process.kill()


class Owner:
    """Another process with its own server, and checks of what is left when it ends."""

    def __init__(self, body: str, folder: Path) -> None:
        script = """
            import os, signal, sys, threading, time
            from django_redislock.testing.servers import EmbeddedServer
            server = EmbeddedServer().start()
            folder = str(server.process.folder)
            print(server.pid, server.process._supervisor.pid, server.port, folder, flush=True)
        """
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script) + textwrap.dedent(body)],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        server, supervisor, port, path = self.process.stdout.readline().decode().split()
        self.server, self.supervisor, self.port = int(server), int(supervisor), int(port)
        self.folder = Path(path)

    def server_answers(self) -> bool:
        with Redis(port=self.port) as client:
            return bool(client.ping())

    def assert_nothing_is_left(self) -> None:
        wait_until(lambda: process_gone(self.server), what="the server has ended")
        wait_until(lambda: process_gone(self.supervisor), what="its supervisor has ended")
        assert not self.folder.exists()
        assert list(self.folder.parent.iterdir()) == []
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.port))


def test_forked_child_neither_stops_nor_deletes(owner: Callable[..., Owner]) -> None:
    started = owner("""
        child = os.fork()
        if child == 0:
            server.stop()
            try:
                server.process.wait()
            except ChildProcessError:
                pass
            try:
                server.restart()
            except RuntimeError:
                sys.exit(0)  # by way of the exit handlers
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        signal.pause()
    """)
    assert started.process.stdout is not None
    assert started.process.stdout.readline() == b"0\n"
    assert started.folder.is_dir()
    assert started.server_answers()
    kill_hard(started.process.pid)
    started.assert_nothing_is_left()


@pytest.mark.parametrize("how", ["returns", "raises", "sys.exit"])
def test_nothing_is_left_when_the_owner_ends(owner: Callable[..., Owner], how: str) -> None:
    ends = {"returns": "pass", "raises": "raise ValueError", "sys.exit": "sys.exit(3)"}
    started = owner(ends[how])
    started.process.wait()
    # Without wait_until(), since everything is tidied up before the owner ends.
    assert process_gone(started.server)
    started.assert_nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_when_the_owner_is_killed(
    owner: Callable[..., Owner], number: signal.Signals
) -> None:
    started = owner("signal.pause()")
    os.kill(started.process.pid, number)
    started.assert_nothing_is_left()


def test_nothing_is_left_when_a_killed_owner_has_forked(owner: Callable[..., Owner]) -> None:
    started = owner("""
        child = os.fork()
        print(child, flush=True) if child else None
        signal.pause()
    """)
    assert started.process.stdout is not None
    fork = int(started.process.stdout.readline())
    os.kill(started.process.pid, signal.SIGKILL)
    try:
        # The fork goes on, but does not keep its parent's server alive.
        started.assert_nothing_is_left()
        assert not process_gone(fork)
    finally:
        kill_hard(fork)


def test_ctrl_c_ends_the_server_after_its_owner(owner: Callable[..., Owner]) -> None:
    started = owner("""
        from redis import Redis
        try:
            print("ready", flush=True)
            while True:  # not pause(): the signal may come just before it
                time.sleep(0.01)
        except KeyboardInterrupt:
            print(Redis.from_url(server.url).ping(), flush=True)
            raise
    """)
    assert started.process.stdout is not None
    assert started.process.stdout.readline() == b"ready\n"
    os.killpg(started.process.pid, signal.SIGINT)  # as a terminal does: the whole group
    assert started.process.stdout.readline() == b"True\n"
    started.assert_nothing_is_left()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_server_ends_with_its_supervisor_and_the_owner_tidies_up(
    owner: Callable[..., Owner],
) -> None:
    started = owner("sys.stdin.read()")
    os.kill(started.supervisor, signal.SIGKILL)
    wait_until(lambda: process_gone(started.server), what="the server has ended")
    assert started.folder.is_dir()
    assert started.process.stdin is not None
    started.process.stdin.close()
    started.process.wait()
    started.assert_nothing_is_left()


def test_frozen_supervisor_does_not_hold_up_the_stop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(launcher, "SUPERVISOR_ENDS_WITHIN", 0.0)
    folder = tmp_path / "folder"
    process = SupervisedProcess(["sleep", "1000"], folder=folder, grace=0.0)
    freeze(process._supervisor.pid)
    process.stop()
    wait_until(lambda: process_gone(process.pid))
    assert not folder.exists()


def test_exit_code() -> None:
    assert SupervisedProcess(["sh", "-c", "exit 3"]).wait(30) == 3


def test_grandchildren_end_with_the_child(tmp_path: Path) -> None:
    script = f"sleep 1000 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; wait"
    process = SupervisedProcess(["sh", "-c", script], grace=30)
    wait_until((tmp_path / "pid").exists)
    grandchild = int((tmp_path / "pid").read_text())
    process.stop()
    assert process.returncode == -signal.SIGTERM
    wait_until(lambda: process_gone(grandchild))


def test_child_that_ignores_signals_is_killed(tmp_path: Path) -> None:
    script = f"trap '' TERM; touch {tmp_path}/ready; while :; do sleep 1000; done"
    process = SupervisedProcess(["sh", "-c", script], grace=0.05)
    wait_until((tmp_path / "ready").exists)
    process.stop()
    assert process.returncode == -signal.SIGKILL


def test_no_signal_is_ignored_in_the_child(tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = SupervisedProcess(["sleep", "1000"])
        process.send_signal(number)
        assert process.wait(30) == -number


def test_wait_has_a_deadline() -> None:
    process = SupervisedProcess(["sleep", "1000"])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.stop()


def test_missing_command() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-command"):
        SupervisedProcess(["no-such-command"])


@pytest.mark.parametrize("what", ["command", "folder"])
def test_start_that_fails_is_an_error(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = tmp_path / "command"
    command.write_text("#!/no/such/interpreter\n" if what == "command" else "#!/bin/sh\n")
    command.chmod(0o700)
    folder = tmp_path / "folder" if what == "command" else tmp_path / "missing" / "folder"
    running = set(launcher._running)
    with pytest.raises(OSError, match="cannot be started"):
        SupervisedProcess([str(command)], folder=folder)
    assert launcher._running == running
    assert "No such file or directory" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == [command]


def test_folder_is_there_for_the_child_only(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    process = SupervisedProcess(["sh", "-c", f"touch {folder}/file; sleep 1000"], folder=folder)
    wait_until((folder / "file").exists)
    process.stop()
    assert not folder.exists()
