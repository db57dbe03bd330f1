"""Arguments of `withlock`, on a command line and from code."""

from __future__ import annotations

import math
from typing import Any

import pytest
from django.core.management import (
    CommandError,
    call_command,
    execute_from_command_line,
    load_command_class,
)

from tests.commands.command_line import CommandLine


@pytest.mark.parametrize(
    "arguments",
    [
        ("a",),
        ("a", "--lease", "0", "--", "true"),
        ("a", "--using", "nope", "--", "true"),
        # Of a greater number a shell sees the lowest byte, here 0.
        ("a", "--conflict-exit-code", "256", "--", "true"),
        ("a", "--conflict-exit-code=-1", "--", "true"),
    ],
)
def test_invalid_arguments_are_refused(manage: CommandLine, arguments: Any) -> None:
    assert manage.run("withlock", *arguments).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--max-hold", "0"), "at least 0.02 seconds, not 0.0. Write inf to renew it without end."),
        (("--max-hold", "long"), "'long' is not a time such as 90, 90s, 10m, 2h or 1d"),
        (("--lease", "inf"), "must be finite"),
        (("--lease", "long"), "'long' is not a time such as 90, 90s, 10m, 2h or 1d"),
        (("--wait", "-1"), "must be 0 or more seconds, not -1.0"),
        (("--wait", "nan"), "must be a number of seconds"),
        (("--limit", "2.5"), "'2.5' is not a whole number of 1 or more"),
    ],
)
def test_the_error_says_what_to_write_in_a_shell(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, str], error: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        execute_from_command_line(["manage.py", "withlock", "a", "=".join(arguments), "--", "true"])
    assert caught.value.code == 2
    written = capsys.readouterr().err
    assert f"argument {arguments[0]}: " in written
    assert error in written


@pytest.mark.parametrize(
    "options",
    [
        {"kill_after": "soon"},
        {"kill_after": -1},
        {"on_lost": "stop"},
        {"on_death": "stop"},
        {"conflict_exit_code": 256},
        {"max_hold": 0},
        {"label": 5},
    ],
)
def test_invalid_values_of_a_call_are_refused(key_prefix: str, options: Any) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("withlock", "a", "true", **options)
    assert caught.value.returncode == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), (" 1.5s ", 1.5), ("10m", 600), ("2h", 7200), ("1d", 86400), ("inf", math.inf)],
)
def test_times_may_have_a_unit(text: str, seconds: float) -> None:
    parser = load_command_class("django_redislock", "withlock").create_parser("", "")
    times = [f"{flag}={text}" for flag in ("--wait", "--max-hold", "--kill-after")]
    read = parser.parse_args(["a", *times, "true"])
    assert (read.wait, read.max_hold, read.kill_after) == (seconds, seconds, seconds)


@pytest.mark.parametrize("command", ["echo a && echo b", "LEVEL=1"])
def test_the_error_for_a_command_line_of_a_shell_says_that_none_runs_it(
    key_prefix: str, command: str
) -> None:
    with pytest.raises(CommandError, match=r"not found \(no shell.* write -- sh -c") as caught:
        call_command("withlock", "a", command)
    assert caught.value.returncode == 127


def test_an_empty_command_is_visible_in_its_error(key_prefix: str) -> None:
    with pytest.raises(CommandError, match="^'': not found$") as caught:
        call_command("withlock", "a", "")
    assert caught.value.returncode == 127
