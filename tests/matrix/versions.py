"""Versions in this environment: python -m tests.matrix.versions FILE writes them to a file."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from django_redislock.testing.servers import find_binary

PACKAGES = ("django", "django-redis", "redis", "hiredis")


def versions() -> dict[str, str]:
    """The version of each package, or an empty string if it is not installed."""
    found = {"python": platform.python_version(), "server": _server()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found


def _server() -> str:
    said = subprocess.run([find_binary(), "--version"], capture_output=True, check=True, text=True)
    kind, _, number = said.stdout.partition(" server v=")
    return f"{kind} {re.split(r'[ -]', number)[0]}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(versions()))
