"""Fixtures of the tests of the commands."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def restored_interrupt() -> Iterator[None]:
    """A command that was interrupted leaves SIGINT as the end of its process needs it."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
