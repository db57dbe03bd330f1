"""The house keeps its shape: which room may look into which, and how large a room may be."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "django_redislock"
FOLDERS = ("django_redislock", "example_project", "tests", "benchmarks")
LONGEST = 300  # lines

# A module imports from its own layer and from those above it in this table, never from below.
LAYERS = [
    "exceptions signals keys conf steps faces process holding metrics",
    "metrics.families metrics.tallies metrics.meter metrics.hour",
    "backends backends.*",
    "handler identity",
    "holding.* metrics.recording waiting transactions lock multi factory",
    "names retrying calls views views.* rows rows.* metrics.exporting",
    "operations operations.presence operations.found operations.criteria operations.selection"
    " operations.wording",
    "decorators models commands operations.audit admin admin.* checks log metrics.*",
    "apps asgi migrations migrations.* management management.* testing testing.*",
    "django_redislock",  # the package itself: the public names
]
# What only some rooms may know: (import, rooms).
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


def layer_of(module: str) -> int | None:
    for number, patterns in enumerate(LAYERS):
        if any(fnmatchcase(module or PACKAGE.name, pattern) for pattern in patterns.split()):
            return number
    return None


def imports_of(module: str, source: str) -> Iterator[str]:
    """The absolute names that a module imports, in functions too.

    Those of an `if TYPE_CHECKING:` block are left out: nothing is imported there when it runs.
    """
    absolute = f"{PACKAGE.name}.{module}".rstrip(".")
    is_package = MODULES[module].name == "__init__.py"
    for node in walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = absolute.split(".")
            parents = parents[: len(parents) - node.level + is_package] if node.level else []
            origin = ".".join([*parents, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{origin}.{alias.name}"


def walk(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            child = ast.Module(child.orelse, [])  # noqa: PLW2901 - what is left of it when it runs
        yield child
        yield from walk(child)


def room_of(imported: str) -> str | None:
    """The module of this package that an imported name belongs to."""
    package, _, name = imported.partition(".")
    if package != PACKAGE.name:
        return None
    return name if name in MODULES else name.rpartition(".")[0]


def knows(imported: str, secret: str) -> bool:
    return f"{imported}.".startswith(f"{secret}.")


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_layer(module: str) -> None:
    assert layer_of(module) is not None, f"give {module} its place in LAYERS"


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    own = layer_of(module)
    assert own is not None
    rooms = {room_of(imported) for imported in imports_of(module, MODULES[module].read_text())}
    upward = [room for room in rooms - {None} if (layer_of(room or "") or 0) > own]
    assert upward == []


def test_no_two_modules_need_each_other() -> None:
    graph = {
        module: {room_of(imported) for imported in imports_of(module, path.read_text())} - {module}
        for module, path in MODULES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(("secret", "rooms"), ONLY_IN)
def test_who_may_know(module: str, secret: str, rooms: list[str]) -> None:
    if any(fnmatchcase(module, room) for room in rooms):
        return
    imported = imports_of(module, MODULES[module].read_text())
    assert [name for name in imported if knows(name, secret)] == []


def test_imports_are_found_wherever_they_are() -> None:
    source = """
from __future__ import annotations
import redis.asyncio
from .conf import seconds
if TYPE_CHECKING:
    from .lock import Lock
def late():
    from . import keys
    from .backends.base import Hold
"""
    assert list(imports_of("handler", source)) == [
        "__future__.annotations",
        "redis.asyncio",
        "django_redislock.conf.seconds",
        "django_redislock.keys",
        "django_redislock.backends.base.Hold",
    ]
    assert room_of("django_redislock.backends.base.Hold") == "backends.base"
    assert room_of("django_redislock.keys") == "keys"
    assert room_of("redis.asyncio") is None


def test_the_public_lock_is_imported_after_the_module_of_that_name() -> None:
    """At run time ``lock`` is the function either way; to Pyright, whatever came last."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    last = [node for node in imports if node.module == "lock" or "lock" in map(_name, node.names)]
    assert last[-1].module == "factory"


def _name(alias: ast.alias) -> str:
    return alias.asname or alias.name


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


def test_no_room_is_called_utils() -> None:
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
        [name for name in MODULES if not any(fnmatchcase(name, room) for room in needs_apps)],
    )
