"""The public names, as ``help()`` and the completion of a shell find them."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module

import pytest

SET_UP = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django_redislock"])
django.setup()
"""


@pytest.mark.parametrize("module", ["django_redislock", "django_redislock.testing"])
def test_help_shows_every_public_name(module: str) -> None:
    described = shown_by_help(module, SET_UP)
    names = set(import_module(module).__all__) - {"lock_backends"}  # which help() has under DATA
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", described)] == []


@pytest.mark.parametrize("module", ["django_redislock", "django_redislock.testing"])
def test_help_does_not_need_settings(module: str) -> None:
    assert "\nFUNCTIONS\n" in shown_by_help(module)


def shown_by_help(module: str, before: str = "") -> str:
    """Return the classes and functions that ``help()`` describes in a new process."""
    code = f"{before}\nimport {module} as module; help(module)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True
    )
    return done.stdout.partition("\nDATA\n")[0]
