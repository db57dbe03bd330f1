"""The form of the pages: the same things look the same on all of them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .pages import BLOCKS, PAGES, ROOT, Block, name_of

CONSOLE = [block for block in BLOCKS if block.language == "console"]
HEAD = re.compile(r"^\|(.+)\|\n\|[ :|-]+\|$", re.MULTILINE)
MODULES = sorted(
    {
        module
        for page in PAGES
        for module in re.findall(r"python -m ((?:benchmarks|tests)\b[\w.]*)", page.read_text())
    }
)


def unnamed_columns(text: str) -> Iterator[str]:
    """The heads of tables with a column without a name, other than the first."""
    for head in HEAD.findall(text):
        if not all(cell.strip() for cell in re.split(r"(?<!\\)\|", head)[1:]):
            yield head


@pytest.mark.parametrize("block", CONSOLE, ids=str)
def test_commands_of_a_console_have_a_prompt(block: Block) -> None:
    """The site's button copies these lines alone."""
    assert block.code.startswith("$ ")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_columns_have_names(page: Path) -> None:
    assert [*unnamed_columns(page.read_text())] == []


@pytest.mark.parametrize("module", MODULES)
def test_modules_that_are_named_can_be_run(module: str) -> None:
    command = [sys.executable, "-m", module.rstrip("."), "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: python -m {module}" in done.stdout
