"""Output that cannot be written: closed pipes, full disks and closed streams."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management.base import OutputWrapper

from django_redislock.management.progress import Progress
from tests.management.holds import hold, is_held

RUN = (
    "import django, sys; from django.conf import settings;"
    "settings.CACHES['default']['LOCATION'] = sys.argv[1];"
    "settings.LOCKS['default']['KEY_PREFIX'] = sys.argv[2]; django.setup();"
    "from django.core.management import execute_from_command_line as run;"
    "run(['manage.py', *sys.argv[3:], '--using', 'default'])"
)

# Output is written at once, or when the command ends.
BOTH = pytest.mark.parametrize("unbuffered", ["1", ""])
OUTPUTS = pytest.mark.parametrize("output", ["closed_pipe", "full_disk"])
LISTINGS = pytest.mark.parametrize(
    "arguments", [["listlocks"], ["listlocks", "--waits"], ["clearlocks", "--all", "--dry-run"]]
)


@pytest.fixture
def closed_pipe() -> int:
    """The writing end of a pipe whose other end is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.fixture
def full_disk() -> int:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no file that is always full")
    return os.open("/dev/full", os.O_WRONLY)


def ended(
    stdout: int, redis_url: str, key_prefix: str, unbuffered: str, *arguments: str
) -> tuple[int, str]:
    """The exit code, and the text of the standard error."""
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        [sys.executable, "-c", RUN, redis_url, key_prefix, *arguments],
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=50,
        check=False,
    )
    os.close(stdout)
    return done.returncode, done.stderr


@BOTH
@LISTINGS
def test_a_listing_to_a_closed_pipe_ends_in_silence(
    closed_pipe: int, redis_url: str, key_prefix: str, unbuffered: str, arguments: list[str]
) -> None:
    hold("a", "default")
    assert ended(closed_pipe, redis_url, key_prefix, unbuffered, *arguments) == (0, "")


@BOTH
@OUTPUTS
def test_locks_are_released_even_if_the_output_cannot_be_written(
    request: pytest.FixtureRequest, redis_url: str, key_prefix: str, unbuffered: str, output: str
) -> None:
    token = hold("a", "default")
    stdout = request.getfixturevalue(output)
    arguments = ("clearlocks", "--all", "--no-input")
    code, errors = ended(stdout, redis_url, key_prefix, unbuffered, *arguments)
    assert not is_held("a", token, "default")
    assert (code, errors.count("\n")) == (0, 1)
    assert "clearlocks released 1 of 1" in errors


@BOTH
@LISTINGS
def test_a_listing_to_a_full_disk_is_an_error(
    full_disk: int, redis_url: str, key_prefix: str, unbuffered: str, arguments: list[str]
) -> None:
    hold("a", "default")
    error = "CommandError: The output cannot be written: No space left on device.\n"
    assert ended(full_disk, redis_url, key_prefix, unbuffered, *arguments) == (1, error)


@BOTH
@OUTPUTS
def test_locks_that_cannot_be_shown_are_not_released_without_an_answer(
    request: pytest.FixtureRequest, redis_url: str, key_prefix: str, unbuffered: str, output: str
) -> None:
    token = hold("a", "default")
    stdout = request.getfixturevalue(output)
    code, errors = ended(stdout, redis_url, key_prefix, unbuffered, "clearlocks", "--all")
    assert is_held("a", token, "default")
    assert (code, errors.count("\n")) == (1, 1)
    assert "The output cannot be written" in errors


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["listlocks"], 0),
        (["listlocks", "--watch", "0.1", "--waits"], 2),
        (["clearlocks", "--all", "--no-input"], 0),
        (["clearlocks"], 2),
    ],
)
def test_standard_streams_may_be_closed(
    redis_url: str, key_prefix: str, arguments: list[str], code: int
) -> None:
    """As in cron jobs of some systems and in daemons, where Python has None instead."""
    token = hold("a", "default")
    program = f"import os; os.close(1); os.close(2); os.execv({sys.executable!r}, {{}})"
    command = [sys.executable, "-c", RUN, redis_url, key_prefix, *arguments]
    done = subprocess.run(
        [sys.executable, "-c", program.format(command)],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        timeout=50,
        check=False,
    )
    assert done.returncode == code
    assert is_held("a", token, "default") == ("--no-input" not in arguments)


def test_progress_goes_on_without_its_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_redislock.management.progress.QUIET", 0.0)
    master, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stream, Progress(OutputWrapper(stream), "Releasing") as shown:
        os.close(master)
        shown.show(1, 2)
        assert not stream.isatty()  # so that nothing else fails, not even at exit
