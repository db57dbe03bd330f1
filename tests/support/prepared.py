"""What the process that workers are forked from imports: what each of them would import anyway.

It starts no thread, opens no connection and knows no test, so that a fork of it is like new.
"""

from __future__ import annotations

import os

import django
import pytest

__all__ = ["pytest"]

if os.environ.get("DJANGO_SETTINGS_MODULE"):
    django.setup()
