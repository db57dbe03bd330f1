"""Waits for the contents of a page, whose errors name the condition."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait

# seconds; a deadline for a machine under load, not an expectation
DEADLINE = 60.0


def until(browser: Chrome, condition: Callable[[], Any], within: float = DEADLINE) -> Any:
    """The first value of ``condition`` that is true."""
    what = repr(condition)
    with suppress(OSError, TypeError):
        what = inspect.getsource(condition).strip()
    message = f"after {within:g} s still not so: {what}"
    return WebDriverWait(browser, within, 0.05).until(lambda _browser: condition(), message)
