"""Recipes of docs/tasks.md, executed unchanged."""

from __future__ import annotations

from typing import Any

from tests.docs.pages import BLOCKS, name_of


def load(library: str, namespace: dict[str, Any]) -> None:
    """Execute the blocks of the page that import the library, in this namespace."""
    blocks = [
        block
        for block in BLOCKS
        if name_of(block.page) == "docs/tasks.md"
        and block.language == "python"
        and f"from {library} import" in block.code
    ]
    assert blocks
    for block in blocks:
        exec(compile(block.padded, str(block.page), "exec"), namespace)  # noqa: S102 - our own page
