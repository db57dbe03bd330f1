from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, execute_from_command_line
from django.core.management.base import OutputWrapper

from django_redislock import lock_backends
from django_redislock.backends.base import Holder
from django_redislock.holder import packed_holder
from django_redislock.management.commands import clearlocks
from django_redislock.management.progress import Progress
from django_redislock.operations.liveness import runs
from tests.management.holds import aged, hold, is_held, queue
from tests.support.commands import Terminal, output_of

HERE = socket.gethostname()
BOTH = pytest.mark.parametrize("using", ["default", "memory"])


def listed(**options: Any) -> list[str]:
    lines = output_of("listlocks", format="jsonl", **options).splitlines()
    return [json.loads(line)["name"] for line in lines]


def cleared(**options: Any) -> str:
    return output_of("clearlocks", interactive=False, **options)


def dead_process() -> Holder:
    """A holder whose process has ended; its pid is not in use again."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return Holder(host=HERE, pid=process.pid, started=1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"holder": "web-1"}, ["a", "b"]),
        ({"holder": "web-*"}, ["a", "b", "c"]),
        ({"holder": "web-1:7"}, ["b"]),
        ({"holder": "*:7"}, ["b", "d"]),
        ({"holder": "absent"}, []),
        ({"holder": "::1:7"}, ["d"]),
        ({"waiters": True}, ["b", "c"]),
        ({"waiters": True, "name": "c"}, ["c"]),
        ({"waiters": True, "holder": "web-1"}, ["b"]),
        ({"older_than": "10m"}, []),
        ({"older_than": 0}, ["a", "b", "c", "d"]),
        ({"older_than": "0.0s", "name": ["a", "d"]}, ["a", "d"]),
    ],
)
@BOTH
def test_selected_holds_are_listed_and_cleared(
    options: dict[str, Any], expected: list[str], using: str
) -> None:
    hold("a", using, lease=20, host="web-1")
    hold("b", using, lease=30, host="web-1", pid=7)
    hold("c", using, lease=40, host="web-2")
    hold("d", using, lease=50, host="::1", pid=7)
    queue("b", using)
    queue("c", using)
    time.sleep(0.002)
    assert listed(**options) == expected
    cleared(**options)
    left = [name for name in "abcd" if lock_backends[using].inspect(name)[0]]
    if not options.get("waiters"):  # waiters cannot be notified here
        assert left == [name for name in "abcd" if name not in expected]


def test_older_than_counts_from_the_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not count from the last renewal: most of both leases is still left."""
    hold("old", lease=100)
    hold("young", lease=200)
    aged(monkeypatch, "memory", {"old": 301, "young": 299})
    assert listed(older_than="5m") == ["old"]
    aged(monkeypatch, "memory", {"old": 303, "young": 301})
    assert listed(older_than="5m") == ["old", "young"]


@pytest.mark.parametrize(
    ("arguments", "options", "names"),
    [
        (["--older-than", "0.00001"], {}, ["a"]),
        (["--older-than", "9" * 20], {}, []),
        ([], {"older_than": 1e-5}, ["a"]),
        ([], {"older_than": 1e20}, []),
        ([], {"older_than": timedelta(microseconds=10)}, ["a"]),
    ],
)
def test_older_than_accepts_very_short_and_very_long_times(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], options: Any, names: list[str]
) -> None:
    hold("a")
    aged(monkeypatch, "memory", {"a": 50.0})
    lines = output_of("listlocks", *arguments, format="jsonl", **options).splitlines()
    assert [json.loads(line)["name"] for line in lines] == names


def test_names_may_be_given_without_an_option() -> None:
    tokens = {name: hold(name) for name in ("a:1", "a:2", "b", "c")}
    wanted = ("a:*", "--using", "memory", "--name", "b")
    lines = output_of("listlocks", *wanted, format="jsonl").splitlines()
    assert sorted(json.loads(line)["name"] for line in lines) == ["a:1", "a:2", "b"]
    output_of("clearlocks", "a:1", "--no-input")
    assert [name for name, token in tokens.items() if is_held(name, token)] == ["a:2", "b", "c"]
    with pytest.raises(CommandError, match="either --all"):
        output_of("clearlocks", "a:2", "--all", "--no-input")


@pytest.mark.parametrize("command", ["listlocks", "clearlocks"])
@BOTH
def test_bytes_that_are_not_utf_8_are_refused_as_a_name(command: str, using: str) -> None:
    """Python passes them on as lone surrogates."""
    hold("menu\u00e9", using)
    for arguments in (["menu\udce9"], ["--name", "menu\udce9"], ["menu\udce9*"]):
        with pytest.raises(CommandError, match=r"'menu\\udce9\*?'.* Unicode") as caught:
            output_of(command, *arguments, "--using", using)
        assert caught.value.returncode == 2


@pytest.mark.parametrize("text", ["", "x", "10 minutes", "-5m", "1w"])
def test_an_invalid_time_is_refused(text: str) -> None:
    with pytest.raises(SystemExit) as caught:
        execute_from_command_line(["manage.py", "listlocks", f"--older-than={text}"])
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--max", "-1"],
        ["--max", "few"],
        ["--max", "9" * 5000],
        # As from a script in which a variable is empty: --holder "$HOST:$PID".
        ["--holder", ""],
        ["--holder", ":"],
        ["--holder", ":77"],
        ["--holder", "web-1:"],
        ["--holder", "web-1:" + "7" * 5000],
        [""],
        ["--name", "a", ""],
    ],
)
def test_options_that_a_script_gave_by_mistake_are_refused(arguments: list[str]) -> None:
    expected = r"whole number of 0|Write HOST or HOST:PID\.|Write a name"
    with pytest.raises(CommandError, match=expected):
        call_command("listlocks", *arguments)


@BOTH
def test_orphaned_holds_are_those_of_ended_processes_of_this_host(using: str) -> None:
    dead = dead_process()
    mine = Holder.unpack(packed_holder("", "", None, "MainThread", "thread-1"))
    tokens = {
        "orphan": hold("orphan", using, host=HERE, pid=dead.pid, started=dead.started),
        "mine": hold("mine", using, host=HERE, pid=mine.pid, started=mine.started),
        "elsewhere": hold("elsewhere", using, host="elsewhere", pid=dead.pid),
        # The pid of an ended process, which another process has now.
        "reused": hold("reused", using, host=HERE, pid=os.getpid(), started=1),
    }
    assert sorted(listed(orphaned=True)) == ["orphan", "reused"]
    cleared(orphaned=True)
    left = [name for name, token in tokens.items() if is_held(name, token, using)]
    assert left == ["mine", "elsewhere"]


def test_a_zombie_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = Holder(host=HERE, pid=process.pid)
    assert runs(holder) is True
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert runs(holder) is False, "its exit code has not been read yet"
    process.communicate()
    assert runs(holder) is False


@pytest.mark.parametrize(
    "holder",
    [
        Holder(host="elsewhere", pid=1),
        Holder(host=HERE, pid=0),
        Holder(host=HERE, pid=-1),
        Holder(host=HERE, pid="1"),  # type: ignore[arg-type]
        Holder(host=HERE, pid=2**31),  # more than any system's numbers of processes
        Holder(),
    ],
)
def test_an_unknown_process_does_not_count_as_ended(holder: Holder) -> None:
    assert runs(holder) is None


def test_without_proc_no_process_counts_as_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("django_redislock.operations.liveness.PROCESSES", tmp_path)
    assert runs(Holder(host=HERE, pid=2**22 + 1)) is None


def test_the_user_the_locks_and_the_reason_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    token = hold("order:1")
    with caplog.at_level("INFO", "django_redislock"):
        cleared(name="order:1", reason="hung")
    each, summary = caplog.messages
    assert "order:1" in each
    assert token[:8] in each
    assert token not in each
    assert summary.startswith("clearlocks released 1 of 1 lock(s) by force (--name 'order:1'); by ")
    assert f"on {HERE}, reason: hung" in summary


def test_ctrl_c_reports_how_many_locks_may_still_be_held(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = {name: hold(name, lease=lease) for lease, name in enumerate("abc", 100)}
    original = lock_backends["memory"].force_release

    def release(name: str, token: str) -> bool:
        if name == "b":
            raise KeyboardInterrupt
        return original(name, token)

    monkeypatch.setattr(lock_backends["memory"], "force_release", release)
    with pytest.raises(CommandError, match="1 lock was released. 2 of 3 locks may") as caught:
        cleared(all=True)
    assert caught.value.returncode == 130
    assert [name for name, token in tokens.items() if is_held(name, token)] == ["b", "c"]
    assert "released 1 of 3 lock(s)" in caplog.text


def test_ctrl_c_during_the_search_releases_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    token = hold("a")

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lock_backends["memory"], "walk", interrupted)
    with pytest.raises(CommandError, match="No lock was released") as caught:
        cleared(all=True)
    assert caught.value.returncode == 130
    assert is_held("a", token)


def test_only_the_first_of_many_locks_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearlocks, "SHOWN", 2)
    for number in range(5):
        hold(f"a{number}", lease=100 + number)
    output = cleared(all=True)
    assert "a1 " in output
    assert "a2 " not in output
    assert "and 3 more\n5 locks were released." in output


def test_progress_is_shown_in_a_terminal_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("django_redislock.management.progress.monotonic", lambda: now[0])
    for stream in (Terminal(), io.StringIO()):
        with Progress(OutputWrapper(stream), "Releasing") as progress:
            progress.show(1, 1000)
            assert stream.getvalue() == ""
            now[0] += 2
            progress.show(500, 1000)
        shown = stream.getvalue()
        if isinstance(stream, Terminal):
            assert "Releasing [###############...............]  50%  500 of 1,000" in shown
            assert shown.endswith("\r")
        else:
            assert shown == ""
