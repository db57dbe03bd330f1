"""Small projects, whose tests pytest runs in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN = "django_redislock.testing.plugin"
WITHIN = 50.0  # seconds; a deadline for a machine under load, not an expectation

# If the package is installed, pytest finds the plugin by itself.
INSTALLED = any(one.value == PLUGIN for one in entry_points(group="pytest11"))
LOADED = [] if INSTALLED else ["-p", PLUGIN]

SETTINGS = """
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
LOCKS = {"default": {"WAIT": 0}}
INSTALLED_APPS = ["django_redislock"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
SECRET_KEY = "for tests only"
USE_TZ = True
"""


class Project:
    """A folder with tests; `settings` is its settings module, or None for a project without."""

    def __init__(self, folder: Path, settings: str | None = SETTINGS) -> None:
        self.folder = folder
        self.has_settings = settings is not None
        if settings is not None:
            (folder / "project_settings.py").write_text(settings)
        (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def pytest(self, *args: str) -> Outcome:
        """Run the tests of the project."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if name != "DJANGO_SETTINGS_MODULE" and not name.startswith(("PYTEST_", "REDISLOCK_"))
        }
        environment["PYTHONPATH"] = f"{self.folder}{os.pathsep}{ROOT}"
        if self.has_settings:
            environment["DJANGO_SETTINGS_MODULE"] = "project_settings"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                *LOADED,
                *("-p", "no:cacheprovider"),
                *("-p", "no:asyncio"),
                "-rA",
                *args,
            ],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)


class Outcome:
    """The output of pytest: the names of the tests by their outcome, and the whole text."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text

    def names(self, outcome: str) -> list[str]:
        """The names of the tests that PASSED, FAILED or had an ERROR."""
        return re.findall(rf"^{outcome} \S+::(\w+)", self.text, re.MULTILINE)
