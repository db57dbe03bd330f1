"""References of the documentation: links, names of this package, tests and pictures."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps

from django_redislock.metrics import opentelemetry
from django_redislock.traces import spans

from .pages import BLOCKS, PAGES, ROOT, Block, anchors_of, name_of, prose_of

PACKAGE = "django_redislock"
LINK = re.compile(r"\]\((?!\w+:|<)([^)\s]+)\)")
DOTTED = re.compile(rf"\b{PACKAGE}(?:\.[A-Za-z_]\w*)+(?![\w/]|\.\w)")
TEST = re.compile(r"\b(tests/[\w/]+\.py)::(\w+)")
PYTHON = [block for block in BLOCKS if block.language == "python"]


def exists(dotted: str) -> bool:
    """Whether there is such a module, or such a name in one."""
    try:
        pkgutil.resolve_name(dotted)
    except (ImportError, AttributeError):
        return False
    return True


def permissions() -> set[str]:
    """Permissions are dotted names too: `django_redislock.view_lock`."""
    return {
        f"{options.app_label}.{codename}"
        for options in (model._meta for model in apps.get_app_config(PACKAGE).get_models())
        for codename in (
            *(f"{action}_{options.model_name}" for action in options.default_permissions),
            *(codename for codename, _ in options.permissions),
        )
    }


def instruments() -> set[str]:
    """Names of OpenTelemetry instruments are dotted, too: `django_redislock.busy`."""
    source = inspect.getsource(opentelemetry) + inspect.getsource(spans)
    return set(re.findall(rf'"({PACKAGE}\.[\w.]+)"', source))


def imports_of(block: Block) -> Iterator[str]:
    """The names that a block imports. Raises SyntaxError if it is not Python."""
    code = compile(
        block.padded,
        name_of(block.page),
        "exec",
        flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_to_existing_files(page: Path) -> None:
    dead = []
    for link in LINK.findall(prose_of(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors_of(target)
        ):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_imports_in_code_exist(block: Block) -> None:
    ours = [name for name in imports_of(block) if name.split(".")[0] == PACKAGE]
    assert [name for name in ours if not exists(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_dotted_names_exist(page: Path) -> None:
    names = {name.removesuffix(".py") for name in DOTTED.findall(page.read_text())}
    known = permissions() | instruments()
    assert [name for name in sorted(names - known) if not exists(name)] == []


def test_names_in_the_architecture_page_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    cells = [line.split("|")[2] for line in page.splitlines() if line.count("|") == 3]
    names = [name for cell in cells for name in re.findall(r"`([\w./]+)`", cell)]
    scripts = ROOT / PACKAGE / "backends" / "redis"
    wrong = [
        name
        for name in names
        if not ((scripts / name).exists() if "/" in name else exists(f"{PACKAGE}.{name}"))
    ]
    assert len(names) > 20
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tests_that_are_named_exist(page: Path) -> None:
    named = set(TEST.findall(page.read_text()))
    assert [f"{path}::{name}" for path, name in sorted(named) if not is_test(path, name)] == []


def is_test(path: str, name: str) -> bool:
    """Whether there is such a function in the file."""
    file = ROOT / path
    return file.exists() and re.search(rf"def {name}\(", file.read_text()) is not None


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page.name != "index.md"]
    assert [name_of(page) for page in pages if f"({page.name})" not in index] == []


def test_missing_names_and_tests_are_found() -> None:
    assert exists("django_redislock.backends.base.Hold")
    assert exists("django_redislock.backends.redis.RedisLockBackend")
    assert not exists("django_redislock.lock_everything")
    assert not exists("django_redislock.nowhere.Backend")
    assert is_test("tests/handles/test_handle.py", "test_a_wait_is_exact")
    assert not is_test("tests/handles/test_handle.py", "test_a_wait_is")


def test_every_picture_is_shown_somewhere() -> None:
    pictures = {path.name for path in (ROOT / "docs" / "images").iterdir()}
    shown = {
        name for page in PAGES for name in re.findall(r"images/([\w-]+\.\w+)", page.read_text())
    }
    assert pictures == shown
