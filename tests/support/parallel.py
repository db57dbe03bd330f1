"""Parallel run of the suite: in several processes, and without its long tests by default.

The tests mostly wait, for a lease to end or a process to start. So there are more processes than
processors, and they share the servers that the first process has started.
"""

from __future__ import annotations

import gc
import math
import os
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from django_redislock.testing import servers

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

PROCESSES_PER_PROCESSOR = 5
MOST_PROCESSES = 16
FILES_PER_PROCESS = 3  # with fewer, starting a process takes longer than running the tests

# Tests here share a browser, a site, servers or Celery workers, which take seconds to start. So one
# process runs the whole file or folder.
TOGETHER = (
    "tests/backends/test_access_rules.py",
    "tests/browser/test_example.py",
    "tests/browser/",
    "tests/example/test_mishaps.py",
    "tests/example/test_site.py",
    "tests/tasks/test_celery.py",
    "tests/topologies/test_cluster.py",
    "tests/topologies/test_cluster_failover.py",
    "tests/topologies/test_cluster_messages.py",
    "tests/topologies/test_cluster_replicas.py",
    "tests/topologies/test_cluster_slots.py",
    "tests/topologies/test_cluster_surfaces.py",
    "tests/topologies/test_cluster_tls.py",
    "tests/topologies/test_replicas.py",
    "tests/topologies/test_sentinel.py",
)
LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long tests, too")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run in parallel if there are many files, unless the command line says otherwise."""
    option = config.option
    if getattr(option, "numprocesses", 0) is not None:  # xdist is disabled, or -n was given
        return
    is_for_a_person = option.collectonly or option.usepdb or option.trace
    is_for_a_person |= option.capture == "no" or option.setupshow or option.setupplan
    if is_for_a_person or option.tx or _is_worker(config):
        return
    if _files(config.args) >= 2 * FILES_PER_PROCESS:
        option.numprocesses = "auto"


def pytest_configure(config: pytest.Config) -> None:
    """Write bytecode even if the environment forbids it, and use separate ports per process.

    Otherwise each of the many processes would compile the package and its tests again, and one
    could take the port of a server that another has stopped for a moment.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if _is_worker(config):
        worker_input: dict[str, Any] = getattr(config, "workerinput", {})
        number = int(worker_input["workerid"].removeprefix("gw"))
        processes = worker_input["workercount"]
        servers.PORTS = servers.PORTS[number % processes :: processes]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without garbage collection, and then freeze all existing objects.

    Half a million objects stay until the end. Visiting them again and again took a third of the
    time of the collection, and a tenth of the time of the tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return the number of processes for `-n auto`, which is the default."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None  # xdist reads the variable itself
    most = min(_processors() * PROCESSES_PER_PROCESSOR, MOST_PROCESSES)
    return max(1, min(most, _files(config.args) // FILES_PER_PROCESS))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.option.dist != "load":
        return None  # the command line asks for another scheduler
    from .scheduler import OneByOne

    return OneByOne(config, log, TOGETHER)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long tests. In parallel runs, start those that may take longest first.

    The others are run in a mixed order: tests of one file often all wait in the same way, which
    would leave the processors idle.
    """
    if not _wants_long(config):
        long = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if not item.get_closest_marker("long")]
        config.stash[LEFT_OUT] = len(long)
        config.hook.pytest_deselected(items=long)
    if _is_worker(config):
        items.sort(key=_place)
        items.sort(key=_may_take, reverse=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report to the first process, which collects nothing itself, which tests were left out."""
    if _is_worker(session.config):
        output: dict[str, Any] = getattr(session.config, "workeroutput", {})
        output["left_out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receive that report."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if number := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{number} long tests were left out. --long runs them, too; -m long runs them alone."
        )


def _wants_long(config: pytest.Config) -> bool:
    """Return whether long tests are requested, by an option or by their names."""
    named = any("::" in argument for argument in config.args)
    return named or config.option.long or "long" in config.option.markexpr


def _may_take(item: pytest.Item) -> float:
    """Return a test's own time limit, which only the slowest tests have.

    Tests that run together take longer than any of those. A test that is expected to fail often
    waits for its whole deadline.
    """
    if item.nodeid.startswith(TOGETHER):
        return math.inf
    if marker := item.get_closest_marker("timeout"):
        return float(marker.args[0])
    return 60 if item.get_closest_marker("xfail") else 0


def _place(item: pytest.Item) -> int:
    """Return a pseudo-random number for a test that is the same in every process."""
    is_kept_in_order = item.nodeid.startswith(TOGETHER)
    return 0 if is_kept_in_order else zlib.crc32(item.nodeid.encode())


def _files(arguments: Sequence[str]) -> int:
    """Count the files of tests that the command line names."""
    paths = [Path(argument.partition("::")[0]) for argument in arguments]
    return sum(len([*path.rglob("test_*.py")]) if path.is_dir() else 1 for path in paths)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
