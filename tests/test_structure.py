"""Structure of the package: which part may import which, and how long a file may be."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "django_redislock"
FOLDERS = ("django_redislock", "example_project", "tests", "benchmarks")
LONGEST = 300  # lines
ARCHITECTURE = ROOT / "docs" / "architecture.md"

# Imports that only some parts may have: (import, parts).
ONLY_IN = [
    ("redis", ["backends.redis", "backends.redis.*", "testing.*"]),
    ("django_redis", ["backends.redis", "backends.redis.*", "testing.*"]),
    ("django_redislock.backends.redis", ["backends.redis", "backends.redis.*", "testing.*"]),
    ("django.http", ["views.*", "admin", "admin.*"]),
]


def name_of(path: Path) -> str:
    """`backends/redis/__init__.py` is `backends.redis`; the package itself is the empty string."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def pictures() -> Iterator[tuple[str, list[list[str]]]]:
    """Each picture of the page: its folder, and the parts of each layer, from the top."""
    for picture in re.findall(
        r"```text\n(django_redislock/.*?)```", ARCHITECTURE.read_text(), re.S
    ):
        folder, *lines = picture.splitlines()
        layers: list[list[str]] = []
        for line in lines:
            if line.startswith("|"):
                _, title, parts, _ = line.split("|")
                if title.strip():
                    layers.append([])
                layers[-1] += [part.removesuffix("/") for part in parts.split()]
        yield folder.removeprefix(f"{PACKAGE.name}/").strip("/").replace("/", "."), layers


PICTURES = dict(pictures())


def part_in(folder: str, module: str) -> str | None:
    """The part of that folder in which a module is."""
    inside = f"{folder}." if folder else ""
    if not module.startswith(inside) or module == folder:
        return None
    return module.removeprefix(inside).partition(".")[0]


def imports_of(module: str, source: str) -> Iterator[str]:
    """The absolute names that a module imports, in functions and for types too."""
    absolute = f"{PACKAGE.name}.{module}".rstrip(".")
    is_package = MODULES[module].name == "__init__.py"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = absolute.split(".")
            parents = parents[: len(parents) - node.level + is_package] if node.level else []
            origin = ".".join([*parents, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{origin}.{alias.name}"


def module_of(imported: str) -> str | None:
    """The module of this package that an imported name belongs to."""
    package, _, name = imported.partition(".")
    if package != PACKAGE.name:
        return None
    return name if name in MODULES else name.rpartition(".")[0]


def knows(imported: str, secret: str) -> bool:
    return f"{imported}.".startswith(f"{secret}.")


@cache
def imports() -> dict[str, list[str]]:
    """The absolute names that each module imports."""
    return {module: [*imports_of(module, path.read_text())] for module, path in MODULES.items()}


@pytest.mark.parametrize("folder", PICTURES)
def test_the_picture_shows_every_part_once(folder: str) -> None:
    parts = {part for module in MODULES if (part := part_in(folder, module))}
    shown = [part for layer in PICTURES[folder] for part in layer]
    assert sorted(shown) == sorted(parts), f"draw it in {ARCHITECTURE}"


@pytest.mark.parametrize("folder", PICTURES)
def test_imports_run_one_way(folder: str) -> None:
    height = {part: -number for number, layer in enumerate(PICTURES[folder]) for part in layer}
    upward = [
        f"{module} needs {needed}"
        for module, needed in needs()
        if (part := part_in(folder, module))
        and (below := part_in(folder, needed))
        and height[below] > height[part]
    ]
    assert upward == []


def needs() -> Iterator[tuple[str, str]]:
    """Each module, and one that it imports. The public names are for others to import."""
    for module, names in imports().items():
        for imported in names:
            part = module_of(imported)
            if module and part and part != module:
                yield module, part


def test_no_two_modules_need_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for module, needed in needs():
        graph.setdefault(module, set()).add(needed)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def where_they_part(module: str, other: str) -> tuple[str, str] | None:
    """The siblings, of one folder, through which two modules are reached; None for a folder's own.

    `a.b.x` and `a.c.d.y` part at `a.b` and `a.c`. A folder and what lies in it do not part.
    """
    ours, theirs = module.split("."), other.split(".")
    for depth, (one, another) in enumerate(zip(ours, theirs, strict=False), start=1):
        if one != another:
            return ".".join(ours[:depth]), ".".join(theirs[:depth])
    return None


def test_no_two_folders_need_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for module, needed in needs():
        if siblings := where_they_part(module, needed):
            graph.setdefault(siblings[0], set()).add(siblings[1])
    TopologicalSorter(graph).prepare()


def test_the_siblings_of_two_modules_are_found() -> None:
    assert where_they_part("a.b.x", "a.c.d.y") == ("a.b", "a.c")
    assert where_they_part("a.x", "b") == ("a", "b")
    assert where_they_part("a", "a.x") is None


@pytest.mark.parametrize(("secret", "parts"), ONLY_IN)
def test_only_some_parts_may_import(secret: str, parts: list[str]) -> None:
    knowing = [
        f"{module} imports {imported}"
        for module, names in imports().items()
        for imported in names
        if knows(imported, secret) and not any(fnmatchcase(module, part) for part in parts)
    ]
    assert knowing == []


def test_imports_in_functions_and_for_types_are_found() -> None:
    source = """
from __future__ import annotations
import redis.asyncio
from .conf import seconds
if TYPE_CHECKING:
    from .handles import Lock
def late():
    from . import options
    from .backends.base import Hold
"""
    assert set(imports_of("handler", source)) == {
        "__future__.annotations",
        "redis.asyncio",
        "django_redislock.conf.seconds",
        "django_redislock.handles.Lock",
        "django_redislock.options",
        "django_redislock.backends.base.Hold",
    }
    assert module_of("django_redislock.backends.base.Hold") == "backends.base"
    assert module_of("django_redislock.options") == "options"
    assert module_of("redis.asyncio") is None


def test_no_file_is_too_long() -> None:
    files = [
        path
        for folder in FOLDERS
        for pattern in ("*.py", "*.lua")
        for path in (ROOT / folder).rglob(pattern)
    ]
    lengths = {path: len(path.read_text().splitlines()) for path in files}
    assert len(lengths) > len(MODULES)
    assert {str(path): length for path, length in lengths.items() if length > LONGEST} == {}


def test_no_module_is_called_utils() -> None:
    vague = {"utils", "util", "helpers", "common", "misc"}
    assert [name for name in MODULES if vague & set(name.split("."))] == []


IMPORT_WITHOUT_SOCKETS = """
import importlib, socket, sys

def refuse(self, address):
    raise AssertionError(f"an import connected to {address}")

socket.socket.connect = socket.socket.connect_ex = refuse
if sys.argv[1] == "with settings":
    import django
    django.setup()
for name in sys.argv[2:]:
    importlib.import_module(name)
print(len(sys.argv) - 2, "imported")
"""


def import_in_a_new_process(settings: str, modules: list[str]) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    if settings == "with settings":
        environment["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        environment["REDISLOCK_TEST_REDIS_URL"] = "redis://127.0.0.1:1/0"
    names = [f"{PACKAGE.name}.{module}".rstrip(".") for module in modules]
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_WITHOUT_SOCKETS, settings, *names],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{len(modules)} imported\n"


def test_no_import_opens_a_socket() -> None:
    import_in_a_new_process("with settings", list(MODULES))


def test_no_import_reads_the_settings() -> None:
    """Settings read at import would be frozen there: without any, reading them raises."""
    needs_apps = (
        *("models", "rows.fencing", "admin*", "operations.audit"),
        *("migrations*", "management*", "testing*"),
    )
    import_in_a_new_process(
        "without settings",
        [name for name in MODULES if not any(fnmatchcase(name, part) for part in needs_apps)],
    )


def test_the_items_of_a_shared_dictionary_are_copied_in_one_step() -> None:
    """`list(it.items())` makes a tuple for each item.

    Up to Python 3.11 the garbage collector may run at any of them, and then other threads.
    """
    listing = [
        f"{module}: {found[0]}"
        for module, path in MODULES.items()
        for found in re.finditer(r"list\(\w+\.[\w.]*\bitems\(\)\)", path.read_text())
        if not found[0].startswith(("list(STATE_NAMES.", "list(KIND_NAMES."))
    ]
    assert listing == [], "write it.copy().items()"
