"""Runs of `withlock`: the command, the exit codes and the hold."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from django_redislock import lock, lock_backends
from django_redislock.testing import (
    assert_locked,
    assert_not_locked,
    expire,
    held_elsewhere,
    lose,
)
from tests.commands.command_line import CommandLine, ended, line_of
from tests.support.processes import kill_hard, process_gone, wait_until

# Commands of the tests: they say that they run, and wait for the test.
SLEEP = [sys.executable, "-c", "import time; print('at work', flush=True); time.sleep(60)"]
SAY_PID = [
    sys.executable,
    "-c",
    "import os, time; print(os.getpid(), flush=True); time.sleep(60)",
]

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux does this")


def answering(number: str, reaction: str) -> list[str]:
    """A command that reacts to a signal."""
    code = (
        "import signal, sys, time\n"
        f"signal.signal(signal.{number}, lambda *_: {reaction})\n"
        "print('at work', flush=True)\n"
        "time.sleep(60)\n"
    )
    return [sys.executable, "-c", code]


def test_the_command_gets_its_arguments_and_streams_unchanged(manage: CommandLine) -> None:
    shown = ["sh", "-c", 'cat; echo "$@" >&2', "sh", "--wait", "--", "-x"]
    done = manage.run("withlock", "a", "--", *shown, stdin="in")
    assert (done.returncode, done.stdout, done.stderr) == (0, "in", "--wait -- -x\n")


def test_options_may_stand_before_the_name_and_after_it(manage: CommandLine) -> None:
    with held_elsewhere("a", lease=60):
        done = manage.run(
            *("withlock", "--conflict-exit-code", 9, "a", "--wait", "0.1"),
            *("--", "echo", "--wait", "5"),
        )
    assert (done.returncode, done.stdout) == (9, "")
    assert "after a wait of 0.1 s" in done.stderr
    assert "Write --wait" not in done.stderr


def test_the_lock_is_held_while_the_command_runs(manage: CommandLine) -> None:
    with manage.started("withlock", "a", "--lease", 33, "--label", "me", "--", *SLEEP) as process:
        assert line_of(process) == "at work"
        (hold,) = assert_locked("a")
        assert hold.holder.what.startswith(f"{sys.executable} -c 'import time;")
        assert (hold.lease, hold.limit, hold.holder.label) == (33, 1, "me")
        assert hold.holder.pid == process.pid


def test_the_command_knows_its_hold(manage: CommandLine) -> None:
    script = 'echo "$REDISLOCK_NAME $REDISLOCK_TOKEN $REDISLOCK_FENCE"; read end'
    with manage.started("withlock", "order:1", "--", "sh", "-c", script) as process:
        name, token, fence = line_of(process).split()
        (hold,) = assert_locked("order:1")
        process.communicate("\n", timeout=30)
    assert (name, token, int(fence)) == ("order:1", hold.token, hold.fence)


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -TERM $$", 143)])
def test_withlock_ends_with_the_exit_code_of_the_command(
    manage: CommandLine, script: str, code: int
) -> None:
    done = manage.run("withlock", "a", "--", "sh", "-c", script)
    assert (done.returncode, done.stderr) == (code, "")
    assert_not_locked("a")


@pytest.mark.parametrize("verbosity", [0, 1])
def test_a_busy_lock_has_its_own_exit_code(manage: CommandLine, verbosity: int) -> None:
    with held_elsewhere("a", what="sh -c work"):
        done = manage.run("withlock", "a", "-v", verbosity, "--", "echo", "never")
    assert (done.returncode, done.stdout) == (75, "")
    assert ("held by sh -c work" in done.stderr) == bool(verbosity)
    assert ("Write --wait 30 to wait for it." in done.stderr) == bool(verbosity)


def test_withlock_waits_as_long_as_requested(manage: CommandLine) -> None:
    with held_elsewhere("a") as other:
        with manage.started("withlock", "a", "--wait", "inf", "--", "echo", "later") as process:
            wait_until(lambda: lock_backends["default"].inspect("a")[1], what="it waits")
            other.release()
            assert line_of(process) == "later"
            assert ended(process) == (0, "")


def test_the_lock_may_be_a_semaphore_or_a_read_lock(manage: CommandLine) -> None:
    with held_elsewhere("a", limit=2), held_elsewhere("b", shared=True):
        assert manage.run("withlock", "a", "--limit", 2, "--", "true").returncode == 0
        assert manage.run("withlock", "b", "--shared", "--", "true").returncode == 0
        assert manage.run("withlock", "b", "--", "true").returncode == 75


def test_a_min_hold_outlives_the_command(manage: CommandLine) -> None:
    assert manage.run("withlock", "a", "--min-hold", 50, "--", "true").returncode == 0
    (hold,) = assert_locked("a")
    assert 30 < hold.remaining <= 50


def test_a_missing_command_has_its_own_exit_code(manage: CommandLine) -> None:
    done = manage.run("withlock", "a", "--", "no-such-command")
    assert (done.returncode, done.stderr) == (127, "CommandError: no-such-command: not found\n")
    done = manage.run("withlock", "a", "--", "/no/such/command")
    assert done.returncode == 127


def test_the_error_for_a_forgotten_name_says_so(manage: CommandLine) -> None:
    done = manage.run("withlock", "--", "echo", "hi-there")
    assert done.returncode == 127
    assert "hi-there: not found (the lock is 'echo': the name comes before" in done.stderr


def test_the_error_for_a_second_name_says_which_is_the_name(manage: CommandLine) -> None:
    done = manage.run("withlock", "job:1", "job:2", "--", "true")
    assert done.returncode == 127
    assert "job:2: not found (the lock is 'job:1': the name comes before" in done.stderr


@pytest.mark.parametrize("on_death", ["kill", "keep"])
def test_a_command_that_cannot_be_run_has_its_own_exit_code(
    manage: CommandLine, tmp_path: Path, on_death: str
) -> None:
    path = tmp_path / "command"
    path.write_bytes(b"\x00no program")
    assert manage.run("withlock", "a", "--", path).returncode == 126
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    done = manage.run("withlock", "a", "--on-death", on_death, "--", path)
    assert done.returncode == 126
    assert "Exec format error" in done.stderr
    assert_not_locked("a")


def test_the_exit_code_of_such_a_command_needs_no_standard_error(
    manage: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "command"
    path.write_bytes(b"\x00no program")
    path.chmod(0o755)
    arguments = manage.arguments("withlock", "a", "--", path)
    without = "import os, sys; os.close(2); os.execv(sys.executable, sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", without, *arguments], env=manage.environment, timeout=50, check=False
    )
    assert done.returncode == 126


def test_withlock_can_be_called_from_code(key_prefix: str) -> None:
    call_command("withlock", "a", "--", "sh", "-c", "exit 0", wait=1)
    with pytest.raises(CommandError, match="exit code 3") as caught:
        call_command("withlock", "a", "--", "sh", "-c", "exit 3")
    assert caught.value.returncode == 3
    with held_elsewhere("a"), pytest.raises(CommandError, match="is busy") as caught:
        call_command("withlock", "a", "true")
    assert caught.value.returncode == 75
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_server_that_does_not_answer_has_its_own_exit_code(manage: CommandLine) -> None:
    manage.environment["REDISLOCK_TEST_REDIS_URL"] = "redis://127.0.0.1:1/0"
    done = manage.run("withlock", "a", "--", "echo", "never")
    assert (done.returncode, done.stdout) == (69, "")
    assert "is unavailable" in done.stderr


# The lock.


def test_a_command_that_ignores_sigterm_is_killed(manage: CommandLine) -> None:
    stubborn = answering("SIGTERM", "print('no', flush=True)")
    with manage.started(
        "withlock", "a", "--lease", 3, "--kill-after", 0.2, "--", *stubborn
    ) as process:
        line_of(process)
        expire("a")
        assert line_of(process) == "no"
        assert ended(process)[0] == 70


def test_a_command_may_take_as_long_as_it_needs_to_end(manage: CommandLine) -> None:
    slow = answering("SIGTERM", "(print('no', flush=True), sys.stdin.read(), sys.exit(3))")
    with manage.started(
        "withlock", "a", "--lease", 3, "--kill-after", "inf", "--", *slow
    ) as process:
        line_of(process)
        expire("a")
        assert line_of(process) == "no"
        code, errors = ended(process)
    assert code == 70
    assert "Traceback" not in errors


def test_a_lost_lock_can_be_only_a_warning(manage: CommandLine) -> None:
    ask = [sys.executable, "-c", "print('at work', flush=True); input(); raise SystemExit(5)"]
    with manage.started("withlock", "a", "--lease", 3, "--on-lost", "warn", "--", *ask) as process:
        line_of(process)
        lose("a")
        assert process.stderr is not None
        assert "was lost" in process.stderr.readline()
        assert process.poll() is None
        assert process.communicate("\n", timeout=30)[0] == ""
    assert process.returncode == 5


# The process.


def test_signals_are_passed_on(manage: CommandLine) -> None:
    numbers = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]
    code = (
        "import signal, sys, time\n"
        f"for number in {[int(number) for number in numbers]}:\n"
        "    signal.signal(number, lambda number, _: print(int(number), flush=True))\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "print('at work', flush=True)\n"
        "while True: time.sleep(60)\n"
    )
    # In a session of its own: there is no terminal that would send signals to the child, too.
    with manage.started(
        "withlock", "a", "--", sys.executable, "-c", code, start_new_session=True
    ) as process:
        line_of(process)
        for number in numbers:
            process.send_signal(number)
            assert line_of(process) == str(int(number))
        process.terminate()
        assert ended(process) == (9, "")
    assert_not_locked("a")


def test_ignored_signals_stay_ignored(manage: CommandLine) -> None:
    code = "import signal; print(signal.getsignal(signal.SIGHUP), flush=True); input()"
    command = manage.arguments("withlock", "a", "--", sys.executable, "-c", code)
    nohup = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command]
    manage.arguments = lambda *args: nohup  # type: ignore[method-assign]
    with manage.started(start_new_session=True) as process:
        assert line_of(process) == str(signal.SIG_IGN)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        assert process.communicate("\n", timeout=30)[1] == ""
    assert process.returncode == 0


@linux
def test_signals_that_python_ignores_are_not_ignored_by_the_command(manage: CommandLine) -> None:
    done = manage.run("withlock", "a", "--", "grep", "SigIgn", "/proc/self/status")
    assert not int(done.stdout.split()[1], 16) & (1 << signal.SIGPIPE - 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_wait(manage: CommandLine, number: signal.Signals) -> None:
    backend = lock_backends["default"]
    with held_elsewhere("a"):
        with manage.started("withlock", "a", "--wait", 50, "--", "true") as process:
            wait_until(lambda: backend.inspect("a")[1])
            process.send_signal(number)
            assert ended(process) == (128 + number, "")
        wait_until(lambda: not backend.inspect("a")[1])


@linux
def test_the_command_dies_with_withlock(manage: CommandLine) -> None:
    with manage.started("withlock", "a", "--", *SAY_PID) as process:
        child = int(line_of(process))
        kill_hard(process.pid)
        wait_until(lambda: process_gone(child), what="the command is gone")


def test_the_command_can_outlive_withlock(manage: CommandLine) -> None:
    talk = [sys.executable, "-c", "print('at work', flush=True); print(input())"]
    with manage.started(
        "withlock", "a", "--lease", 2, "--on-death", "keep", "--", *talk
    ) as process:
        line_of(process)
        kill_hard(process.pid)
        said, _ = process.communicate("still there\n", timeout=30)
        assert said == "still there\n"
    with lock("a", wait=30):  # its lease ends it
        pass
