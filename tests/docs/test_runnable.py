"""Runnable code of the documentation.

A block that opens with "python runnable" is executed, one after the other of a page in one
namespace, against the suite's server. One that opens with "python settings" is executed, and the
backends of its LOCKS are made. "python file" and "python append" are files of the tutorial, whose
first line says which (`test_tutorial.py`).
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from django_redislock import lock_backends

from .pages import BLOCKS, PAGES, Block, name_of

MARKS = {"", "runnable", "settings", "file", "append"}
SETTINGS = [block for block in BLOCKS if block.mark == "settings"]


def run(block: Block, names: dict[str, Any]) -> None:
    code = compile(
        block.padded,
        str(block.page),
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names))  # noqa: S307 - the code is our own documentation
    else:
        exec(code, names)  # noqa: S102 - the code is our own documentation


def runnable(page: Any) -> list[Block]:
    return [block for block in BLOCKS if block.page == page and block.mark == "runnable"]


def test_marks_are_spelled_right() -> None:
    python = [block for block in BLOCKS if block.language == "python"]
    assert [str(block) for block in python if block.mark not in MARKS] == []


@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)], ids=name_of)
@pytest.mark.django_db
def test_a_page_runs_from_top_to_bottom(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # A module, so that settings can name what it defines.
    example = ModuleType("example")
    monkeypatch.setitem(sys.modules, example.__name__, example)
    for block in runnable(page):
        run(block, vars(example))


@pytest.mark.parametrize("block", SETTINGS, ids=str)
def test_settings_can_be_used(block: Block) -> None:
    names: dict[str, Any] = {}
    run(block, names)
    overridden = {
        "CACHES": names.get("CACHES", django_settings.CACHES),
        "LOCKS": names.get("LOCKS", {}),
    }
    with override_settings(**overridden):
        for alias in lock_backends:
            assert lock_backends[alias].check(deploy=False) == []
