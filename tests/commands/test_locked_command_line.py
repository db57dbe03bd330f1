"""Locked commands, as a shell sees them."""

from __future__ import annotations

import signal
import time

from django_redislock.testing import assert_locked, assert_not_locked, held_elsewhere
from tests.commands.command_line import CommandLine, ended, line_of


def test_a_second_run_ends_with_the_exit_code_for_busy(manage: CommandLine) -> None:
    with manage.started("import_feed", "--seconds", 60) as process:
        assert line_of(process) == "at work"
        (hold,) = assert_locked("import_feed")
        assert (hold.holder.what, hold.holder.pid) == ("manage.py import_feed", process.pid)
        second = manage.run("import_feed")
    assert (second.returncode, second.stdout) == (75, "")
    assert second.stderr.startswith(
        f"CommandError: The lock 'import_feed' is busy, held by {hold.holder}"
    )


def test_a_busy_run_can_be_quiet(manage: CommandLine) -> None:
    with held_elsewhere("import_feed"):
        done = manage.run("import_feed", "-v", 0)
    assert (done.returncode, done.stdout, done.stderr) == (75, "", "")


def test_the_command_has_its_own_options_and_those_of_the_lock(manage: CommandLine) -> None:
    with held_elsewhere("import_feed"):
        done = manage.run("import_feed", "--no-lock", "--seconds", 0.1)
        assert (done.returncode, done.stdout) == (0, "at work\ndone\n")
        done = manage.run("import_feed", "--lock-wait", "0.2")
        assert "after a wait of 0.2 s" in done.stderr
    assert manage.run("import_feed", "--lock-wait", "-1").returncode == 2


def test_a_signal_that_ends_the_command_frees_the_lock(manage: CommandLine) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with manage.started("import_feed", "--seconds", 60) as process:
            line_of(process)
            began = time.monotonic()
            process.send_signal(number)
            assert ended(process)[0] == -number
            assert_not_locked("import_feed")
            assert time.monotonic() - began < 20


def test_the_lock_is_named_after_the_name_of_the_command(manage: CommandLine) -> None:
    with held_elsewhere("import_feed"):
        assert manage.run("import_again").returncode == 0
    with held_elsewhere("import_again"):
        assert manage.run("import_again").returncode == 75
