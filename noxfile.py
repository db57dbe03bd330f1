"""Matrix: the tests of what touches the outside, with every release that is claimed to work.

    nox                       # everything, and the table in docs/platforms.md anew
    nox -s "releases(oldest)" # one of them; `nox --list` names them all

Each runs in an environment of its own. The servers are fetched once; see tests/matrix/servers.py.
"""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"  # dependency groups
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_venv = "yes"

RESULTS = ".nox/results"
# The pip of a new environment may be older than the option `--group`.
TESTED = ("-e", ".[example]", *nox.project.dependency_groups(nox.project.load_toml(), "test"))

# What differs between releases of Python, Django, redis-py and django-redis.
SURFACES = [
    *("tests/admin", "tests/backends", "tests/checks", "tests/functions", "tests/handles"),
    *("tests/management", "tests/models", "tests/rows", "tests/transactions", "tests/views"),
    "tests/tasks/test_django_tasks.py",
]
# Where coverage is measured: with these, little that a project uses is left out.
MEASURED = [*SURFACES, "tests/commands", "tests/metrics", "tests/traces"]
# What differs between servers.
PROTOCOL = [
    *("tests/backends", "tests/concurrency", "tests/formats", "tests/handles"),
    *("tests/properties", "tests/topologies"),
]

OLDEST = ["django==5.2.*", "asgiref==3.8.1", "django-redis==6.0.*", "redis==5.3.*"]
NEWEST = ["django>=6", "django-redis>=7", "redis>=8", "hiredis"]


@nox.session
@nox.parametrize(
    ["python", "requirements"],
    [
        nox.param("3.10", OLDEST, id="oldest"),
        nox.param("3.11", ["django==5.2.*", "redis==6.*"], id="3.11"),
        nox.param("3.12", ["django==6.0.*", "redis==7.*", "hiredis"], id="3.12"),
        nox.param("3.13", NEWEST, id="newest"),
    ],
)
def releases(session: nox.Session, requirements: list[str]) -> None:
    """The surfaces, with releases of Python and of what the package depends on.

    The newest Python measures what they run of the package, and fails below a floor.
    """
    session.install(*TESTED, *requirements)
    if requirements is not NEWEST:
        _test(session, SURFACES, {})
        return
    if not session.posargs:  # else what failed is run again: it adds to what was measured
        session.run("coverage", "erase")
    # sys.monitoring costs next to nothing, and leaves sys.settrace to the tests that need it.
    _test(session, MEASURED, {"COVERAGE_CORE": "sysmon"}, run=("coverage", "run", "-m", "pytest"))
    session.run("coverage", "combine", "--quiet", "--append")
    session.run("coverage", "report")


@nox.session(python="3.11")
@nox.parametrize(
    "name",
    [
        nox.param(name, id=name)
        for name in ("redis-6.2", "redis-7.0", "redis-8.0", "valkey-8.1", "valkey-9.1")
    ],
)
def servers(session: nox.Session, name: str) -> None:
    """What the server does, with releases of Redis and Valkey."""
    session.install(*TESTED)
    session.run("python", "-m", "tests.matrix.servers", name)
    path = Path(f".nox/servers/{name}/path").read_text()
    # What a server does not have is left out: Redis 6.2 has no Cluster of use here.
    _test(session, PROTOCOL, {"REDISLOCK_SERVER": path, "CI": ""})


@nox.session(python="3.11")
def table(session: nox.Session) -> None:
    """Write what was run into docs/platforms.md."""
    session.install("-e", ".")
    session.run("python", "-m", "tests.matrix.table", RESULTS)


def _test(
    session: nox.Session,
    folders: list[str],
    env: dict[str, str],
    run: tuple[str, ...] = ("pytest",),
) -> None:
    result = f"{RESULTS}/{session.name}"
    session.run("python", "-m", "tests.matrix.versions", f"{result}.json", env=env)
    options = ["-o", f"cache_dir={result}.cache", "-q"]
    if not session.posargs:  # the table shows the whole run, not that of a few
        options.append(f"--junitxml={result}.xml")
    session.run("python", "-m", *run, *options, *session.posargs, *folders, env=env)
