"""Build of the modules that store locks: ``python -m tests.formats.build FILE.zip``."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "django_redislock"
PARTS = [
    "backends",
    "clock.py",
    "conf.py",
    "exceptions.py",
    "fields.py",
    "figures",
    "hints.py",
    "holder.py",
    "names.py",
    "process.py",
    "queues.py",
    "signatures.py",
    "spelling.py",
    "twins.py",
]


def build(target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        # The __init__ of the package would import the rest, which is not needed here.
        _add(archive, "django_redislock/__init__.py", b"")
        for part in PARTS:
            root = PACKAGE / part
            for path in [root] if root.is_file() else sorted(root.rglob("*.*")):
                if path.suffix in {".py", ".lua"}:
                    name = path.relative_to(PACKAGE.parent).as_posix()
                    _add(archive, name, path.read_bytes())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # Without times, so that the same files make the same archive.
    archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
