"""Examples of some pages, which are tests and run unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import BLOCKS, name_of
from tests.testing.projects import Project


@pytest.mark.parametrize(("page", "at_least"), [("testing", 6), ("frozen-time", 2)])
def test_the_examples_of_the_pages_pass(tmp_path: Path, page: str, at_least: int) -> None:
    project = Project(tmp_path)
    examples = [
        block.code
        for block in BLOCKS
        if name_of(block.page) == f"docs/{page}.md" and block.language == "python"
    ]
    for number, code in enumerate(examples):
        autouse = "autouse=True" in code
        project.write("conftest.py" if autouse else f"test_{number}.py", code)
    outcome = project.pytest()
    tests = sum(code.count("def test_") for code in examples)
    assert tests >= at_least
    assert (outcome.code, len(outcome.names("PASSED"))) == (0, tests), outcome.text
