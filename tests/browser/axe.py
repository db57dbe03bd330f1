"""Accessibility checks of axe-core, run in the page."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib import resources
from pathlib import Path

from selenium.webdriver import Chrome

# WCAG 2.2 AA, and axe's own best practices.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@lru_cache
def source() -> str:
    """``REDISLOCK_AXE`` may name a newer ``axe.min.js`` than the one of axe-core-python."""
    if path := os.environ.get("REDISLOCK_AXE"):
        return Path(path).read_text()
    return (resources.files("axe_core_python") / "axe.min.js").read_text()


def violations(browser: Chrome) -> list[str]:
    """The violations, one line for each rule and element."""
    browser.execute_script(source())
    result = browser.execute_async_script(
        """
        const [rules, done] = arguments;
        axe.run(document, {runOnly: rules}).then(done);
        """,
        RULES,
    )
    return [
        f"{one['id']} ({one['impact']}): {node['target']} {node['html'][:200]}"
        for one in result["violations"]
        for node in one["nodes"]
    ]
