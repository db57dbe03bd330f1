"""Start of the harness: `python -m tests.faults`. See `command.py` for its options."""

from __future__ import annotations

import os
import sys

import django

# Before Django's settings are read: each run has a server of its own.
os.environ.setdefault("REDISLOCK_TEST_REDIS_URL", "redis://127.0.0.1:1/0")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from tests.faults.command import main  # noqa: E402 - it needs the settings

if __name__ == "__main__":
    sys.exit(main())
