"""Tutorial, followed step by step."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

from django_redislock import lock_backends
from tests.support.processes import wait_until

from .pages import BLOCKS, ROOT, Block, name_of

PAGE = [block for block in BLOCKS if name_of(block.page) == "docs/tutorial.md"]
WITHIN = 50.0  # seconds; a deadline for a machine under load, not an expectation
SERVED = r"http://127\.0\.0\.1:\d+"
NAME = "report:2026-11"
ADDRESS = "http://127.0.0.1:8000"
LOCATION = "redis://127.0.0.1:6379/1"
WORK = "time.sleep(20)"
UNTIL_TOLD = 'while not __import__("pathlib").Path("done").exists(): time.sleep(0.02)'

# They make things that the environment of the tests already has.
SET_UP = ("mkdir ", "python -m venv ", ". .venv", "pip install ", "docker run ")


@pytest.mark.timeout(150)  # a dozen processes, one after the other
def test_every_step_of_the_tutorial_works(reader: Reader) -> None:
    for block in PAGE:
        reader.follow(block)
    assert reader.done == ["check", "runserver", "curl", "listlocks", "withlock"]
    assert reader.answers == ["The report of 2026-11\n"]


class Reader:
    """Follows the page in an empty folder, with a Redis at another address."""

    def __init__(self, folder: Path, redis_url: str, prefix: str) -> None:
        self.folder = folder
        self.redis_url = redis_url
        self.prefix = prefix
        self.server: subprocess.Popen[bytes] | None = None
        self.address = ""
        self.answers: list[str] = []
        self.done: list[str] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if name[:6] != "DJANGO"},
            "PYTHONPATH": str(ROOT),
            "DJANGO_SUPERUSER_PASSWORD": "secret",
        }
        self.special: dict[str, Callable[[str], str]] = {
            "python manage.py createsuperuser": lambda line: self.run(f"{line} --no-input"),
            "python manage.py runserver": self.serve,
            "curl -i": self.ask_again,
            "python manage.py listlocks": self.look,
            "python manage.py withlock": self.wait_for_the_report,
        }

    def follow(self, block: Block) -> None:
        if block.mark in {"file", "append"}:
            self.write(block)
        elif block.language == "console":
            for command, *shown in commands(block):
                self.obey(command, shown)

    def write(self, block: Block) -> None:
        path = self.folder / block.code.splitlines()[0].removeprefix("# ")
        text = block.code.replace(WORK, UNTIL_TOLD)
        if block.mark == "append":
            assert LOCATION in text
            text = text.replace(LOCATION, self.redis_url)
            text += f'\nLOCKS["default"]["KEY_PREFIX"] = "{self.prefix}"\n'
            text = f"{path.read_text()}\n{text}"
        path.write_text(text)

    def obey(self, command: str, shown: list[str]) -> None:
        if command.startswith(SET_UP):
            return
        does = next((do for known, do in self.special.items() if command.startswith(known)), None)
        output = (does or self.run)(command)
        begun = [beginning(line) for line in output.splitlines()]
        assert [line for line in shown if beginning(line) not in begun] == [], output
        if shown or does == self.serve:
            self.done.append(shlex.split(command.removeprefix("python manage.py "))[0])

    def run(self, command: str) -> str:
        done = subprocess.run(
            arguments(command),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def serve(self, command: str) -> str:
        """Start the server at a free port, and open the report in a browser."""
        log = self.folder / "server.log"
        with log.open("wb") as output:
            self.server = subprocess.Popen(
                [*arguments(command), "0", "--noreload"],
                cwd=self.folder,
                env={**self.environment, "PYTHONUNBUFFERED": "1"},
                stdout=output,
                stderr=output,
            )
        found = wait_until(lambda: re.search(SERVED, log.read_text()), what="the server listens")
        assert found
        self.address = found[0]
        threading.Thread(target=self.open_the_report, daemon=True).start()
        wait_until(lambda: lock_backends["default"].inspect(NAME)[0], what="the view works")
        return ""

    def open_the_report(self) -> None:
        url = f"{self.address}/report/2026-11/"
        with build_opener().open(url, timeout=WITHIN) as answer:
            self.answers.append(answer.read().decode())

    def ask_again(self, command: str) -> str:
        url = shlex.split(command)[-1]
        assert url.startswith(ADDRESS)
        with pytest.raises(HTTPError) as refused:
            build_opener().open(url.replace(ADDRESS, self.address), timeout=WITHIN)
        with refused.value as answer:
            assert answer.code == 423
            return f"HTTP/1.1 {answer.code} {answer.reason}\n{answer.headers}"

    def look(self, command: str) -> str:
        """Look at the lock in the terminal, and then in the admin."""
        cookies = CookieJar()
        browser = build_opener(HTTPCookieProcessor(cookies))
        browser.open(f"{self.address}/admin/login/", timeout=WITHIN).close()
        form = {
            "username": "admin",
            "password": "secret",
            "csrfmiddlewaretoken": next(one.value for one in cookies if one.name == "csrftoken"),
            "next": "/admin/django_redislock/lock/",
        }
        url = f"{self.address}/admin/login/"
        with browser.open(url, urlencode(form).encode(), timeout=WITHIN) as answer:
            page = answer.read().decode()
        assert NAME in page
        assert "reports.views.report" in page
        return self.run(command)

    def wait_for_the_report(self, command: str) -> str:
        """Wait for the lock in the second terminal, until the report is done."""
        waiting = subprocess.Popen(
            arguments(command),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        with waiting:
            try:
                wait_until(lambda: lock_backends["default"].inspect(NAME)[1], what="it waits")
                (self.folder / "done").touch()
                output, _ = waiting.communicate(timeout=WITHIN)
            finally:
                waiting.kill()
        assert waiting.returncode == 0
        wait_until(lambda: self.answers, what="the browser has the report")
        return output

    def leave(self) -> None:
        if self.server:
            self.server.kill()
            self.server.wait()


@pytest.fixture
def reader(tmp_path: Path, redis_url: str, key_prefix: str) -> Iterator[Reader]:
    reader = Reader(tmp_path, redis_url, key_prefix)
    yield reader
    reader.leave()


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a block, each with the lines that it shows."""
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        yield part.splitlines()


def arguments(command: str) -> list[str]:
    program, *others = shlex.split(command)
    module = {"python": [], "django-admin": ["-m", "django"]}
    return [sys.executable, *module[program], *others]


def beginning(line: str) -> str:
    """The first three words of a line. Figures, which differ from run to run, are left out."""
    return re.sub(r"\d+", "0", " ".join(line.split()[:3]))
