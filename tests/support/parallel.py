"""How the suite is run: in several processes at once, and without its long tests.

The tests mostly wait: for a lease to end, for a process to start. So there are more processes than
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
FILES_PER_PROCESS = 3  # with fewer, it takes longer to start a process than to run the tests

# These share a browser, a site, servers or Celery's workers, which take seconds to start: one
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
    """Run what has many files in parallel, unless the command line says otherwise."""
    option = config.option
    if getattr(option, "numprocesses", 0) is not None:  # xdist is switched off, or was told
        return
    is_for_a_person = option.collectonly or option.usepdb or option.trace
    is_for_a_person |= option.capture == "no" or option.setupshow or option.setupplan
    if is_for_a_person or option.tx or _is_worker(config):
        return
    if _files(config.args) >= 2 * FILES_PER_PROCESS:
        option.numprocesses = "auto"


def pytest_configure(config: pytest.Config) -> None:
    """Keep the bytecode, wherever the environment says otherwise, and to ports of its own.

    Each of the many processes that follow would compile the package and its tests again. And one
    would take the port of a server that another has stopped for a moment.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if _is_worker(config):
        told: dict[str, Any] = getattr(config, "workerinput", {})
        number, processes = int(told["workerid"].removeprefix("gw")), told["workercount"]
        servers.PORTS = servers.PORTS[number % processes :: processes]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Find the tests without looking for garbage meanwhile, and never look at what is there then.

    It is half a million objects that stay to the end. To visit them again and again took a third of
    the time in which the tests are found, and a tenth of that in which they run.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Answer `-n auto`, which is what a run without `-n` gets."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None  # xdist reads it
    most = min(_processors() * PROCESSES_PER_PROCESSOR, MOST_PROCESSES)
    return max(1, min(most, _files(config.args) // FILES_PER_PROCESS))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out one test at a time, so that no process is left alone with many at the end."""
    if config.option.dist != "load":
        return None  # the command line asks for another
    from xdist.scheduler import LoadScopeScheduling

    class OneByOne(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((one for one in TOGETHER if nodeid.startswith(one)), nodeid)

    return OneByOne(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out; start what may take longest first, if there are several at once.

    The others come in a mixed order. Those of one file often wait all alike, and the processors
    would have nothing to do meanwhile.
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
    """Tell the first process, which collects nothing itself, what was left out."""
    if _is_worker(session.config):
        output: dict[str, Any] = getattr(session.config, "workeroutput", {})
        output["left_out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear it."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if number := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{number} long tests were left out. --long runs them, too; -m long runs them alone."
        )


def _wants_long(config: pytest.Config) -> bool:
    """Say whether they are asked for: by an option, or each by its name."""
    named = any("::" in argument for argument in config.args)
    return named or config.option.long or "long" in config.option.markexpr


def _may_take(item: pytest.Item) -> float:
    """Return the time limit of a test that has one of its own; those are the slowest.

    What runs together takes longer than any of them. What fails as expected often waits for
    something until its deadline is over.
    """
    if item.nodeid.startswith(TOGETHER):
        return math.inf
    if marker := item.get_closest_marker("timeout"):
        return float(marker.args[0])
    return 60 if item.get_closest_marker("xfail") else 0


def _place(item: pytest.Item) -> int:
    """Return a number that has nothing to do with the test, and is the same in every process."""
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
