"""Imports for the process from which workers are forked, which each worker would need anyway.

It starts no thread, opens no connection and knows no test, so that a fork of it is like a new
process.
"""

from __future__ import annotations

import os

import django
import pytest

__all__ = ["pytest"]

if os.environ.get("DJANGO_SETTINGS_MODULE"):
    django.setup()
