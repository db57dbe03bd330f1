"""Lines for cron in docs/tasks.md, run as by cron: by a shell, with a minimal environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from django_redislock.testing import assert_locked, assert_not_locked, held_elsewhere
from tests.commands.command_line import WITHIN, CommandLine
from tests.docs.pages import BLOCKS, name_of

LINES = [
    line.removeprefix("*/5 * * * *").strip()
    for block in BLOCKS
    if name_of(block.page) == "docs/tasks.md"
    for line in block.code.splitlines()
    if line.startswith("*/5 * * * *")
]
COMMAND, BACKUP, ON_SEVERAL_SERVERS = LINES

MANAGE = """
import os, sys
from django.core.management import execute_from_command_line
os.environ.update({environment!r})
sys.path.insert(0, {root!r})
execute_from_command_line(sys.argv)
"""


class Cron:
    """A server with the project in a folder, and a crontab."""

    def __init__(self, folder: Path, manage: CommandLine) -> None:
        self.folder = folder
        names = ("DJANGO_SETTINGS_MODULE", "REDISLOCK_TEST_PREFIX", "REDISLOCK_TEST_REDIS_URL")
        environment = {name: manage.environment[name] for name in names}
        root = manage.environment["PYTHONPATH"]
        (folder / "manage.py").write_text(MANAGE.format(environment=environment, root=root))
        self._program(".venv/bin/python", f'exec {sys.executable} "$@"')
        self._program("backup", "echo backed up $1")

    def _program(self, name: str, script: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run the line, whose output cron would send by mail."""
        line = line.replace("/srv/shop", str(self.folder))
        line = line.replace("/usr/local/bin/backup", str(self.folder / "backup"))
        return subprocess.run(
            ["/bin/sh", "-c", line],
            cwd="/",
            env={"HOME": "/", "LOGNAME": "cron", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )


@pytest.fixture
def cron(tmp_path: Path, manage: CommandLine) -> Cron:
    return Cron(tmp_path, manage)


def test_the_line_for_a_locked_command_runs_it_under_its_lock(cron: Cron) -> None:
    done = cron.run(COMMAND)
    assert (done.returncode, done.stdout, done.stderr) == (0, "at work\ndone\n", "")
    with held_elsewhere("import_feed"):
        done = cron.run(COMMAND)
    assert (done.returncode, done.stdout) == (75, "")
    assert "The lock 'import_feed' is busy" in done.stderr


def test_the_line_for_another_program_is_silent_when_busy(cron: Cron) -> None:
    done = cron.run(BACKUP)
    assert (done.returncode, done.stdout, done.stderr) == (0, "backed up --full\n", "")
    assert_not_locked("backup")
    with held_elsewhere("backup"):
        done = cron.run(BACKUP)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_line_for_several_servers_runs_the_program_once(cron: Cron) -> None:
    assert cron.run(ON_SEVERAL_SERVERS).stdout == "backed up --full\n"
    (hold,) = assert_locked("backup")
    assert 20 < hold.remaining <= 60
    late = cron.run(ON_SEVERAL_SERVERS)
    assert (late.returncode, late.stdout) == (75, "")
