"""Stored data and data of visitors, which are never executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.test_access_rules import LUA
from tests.test_structure import MODULES

# These execute the data that they read, or build objects from it.
MODULES_THAT_RUN = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}
FUNCTIONS_THAT_RUN = {"eval", "exec", "compile", "__import__"}
SAFE_ONLY_BY_CARE = {"yaml", "xml", "lxml"}
MARKS_AS_SAFE = {"mark_safe", "SafeString", "SafeText"}


def used(source: str) -> Iterator[str]:
    """The modules that a source imports, and the plain names of the functions that it calls."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0] if not node.level else ""
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Call):
            called = node.func
            yield called.id if isinstance(called, ast.Name) else ""
            if any(one.arg == "shell" for one in node.keywords):
                yield "shell"


@pytest.mark.parametrize("module", MODULES)
def test_no_module_executes_data(module: str) -> None:
    forbidden = MODULES_THAT_RUN | FUNCTIONS_THAT_RUN | SAFE_ONLY_BY_CARE | {"shell"}
    assert forbidden & set(used(MODULES[module].read_text())) == set()


@pytest.mark.parametrize("module", MODULES)
def test_no_module_marks_text_as_safe_html(module: str) -> None:
    assert MARKS_AS_SAFE & set(used(MODULES[module].read_text())) == set()


def test_no_template_switches_escaping_off() -> None:
    folder = Path(MODULES[""].parent) / "templates"
    texts = {path.name: path.read_text() for path in folder.rglob("*.html")}
    assert len(texts) > 5
    unsafe = ("|safe", "autoescape off", "|safeseq")
    assert [name for name, text in texts.items() for word in unsafe if word in text] == []


def test_no_script_executes_data() -> None:
    texts = {path.name: path.read_text() for path in LUA.glob("*.lua")}
    assert len(texts) > 5
    for name, text in texts.items():
        assert "loadstring" not in text, name
        assert "cmsgpack" not in text, name


def test_forbidden_names_are_found() -> None:
    source = "import pickle\nfrom marshal import loads\neval('1')\nrun('x', shell=True)\n"
    assert {"pickle", "marshal", "eval", "shell"} <= set(used(source))
