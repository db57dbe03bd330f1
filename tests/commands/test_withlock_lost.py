"""Losses under `withlock`, which are reported once, with the reason."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from django_redislock import lock_backends
from django_redislock.testing import lose
from tests.commands.command_line import WITHIN, CommandLine, ended, line_of
from tests.commands.test_withlock import SLEEP
from tests.support.processes import freeze, thaw, wait_until


def test_a_lost_lock_ends_the_command(manage: CommandLine) -> None:
    with manage.started("withlock", "a", "--lease", 3, "--", *SLEEP) as process:
        line_of(process)
        lose("a")
        code, errors = ended(process)
    assert code == 70
    # Only once: without a configured log, Python would also print the logged message.
    assert errors.splitlines() == [
        "The lock 'a' was lost: it was released by force, or its server lost it."
    ]


def test_a_lease_that_ran_out_is_named_as_the_reason(manage: CommandLine) -> None:
    with manage.started("withlock", "a", "--lease", 1, "--", *SLEEP) as process:
        line_of(process)
        freeze(process.pid)
        wait_until(lambda: not lock_backends["default"].inspect("a")[0])
        thaw(process.pid)
        code, errors = ended(process)
    assert code == 70
    assert errors.splitlines() == ["The lock 'a' was lost: its lease ran out."]


def test_a_max_hold_is_named_as_the_reason(manage: CommandLine) -> None:
    began = time.monotonic()
    done = manage.run("withlock", "a", "--lease", 2, "--max-hold", 0.5, "--", "sleep", "60")
    assert done.returncode == 70
    assert time.monotonic() - began < 20
    assert done.stderr.splitlines() == [
        "The lock 'a' was lost: it was held for longer than its max_hold of 0.5 s."
    ]


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full_disk() -> int:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no file that is always full")
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("unwritable", [closed_pipe, full_disk])
def test_a_loss_ends_the_command_even_if_it_cannot_be_printed(
    manage: CommandLine, unwritable: Callable[[], int]
) -> None:
    errors = unwritable()
    command = ("withlock", "a", "--lease", 3, "--", *SLEEP)
    with manage.started(*command, stderr=errors) as process:
        os.close(errors)
        line_of(process)
        lose("a")
        assert process.wait(WITHIN) == 70
