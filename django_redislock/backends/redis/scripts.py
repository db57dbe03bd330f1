"""The Lua scripts, one for each verb, read from ``lua/`` and known to the server by their SHA-1."""

from __future__ import annotations

from hashlib import sha1
from importlib import resources
from typing import Any, NamedTuple

__all__ = [
    "ACQUIRE",
    "CANCEL",
    "EXTEND",
    "FORCE_RELEASE",
    "INSPECT",
    "RELEASE",
    "Script",
    "with_text",
]


class Script(NamedTuple):
    """The text of a script and the name under which the server remembers it."""

    text: bytes
    sha: bytes

    @classmethod
    def read(cls, verb: str) -> Script:
        folder = resources.files(__package__) / "lua"
        # What needs none of the functions of grants.lua comes before they are made.
        parts = [folder / f"{part}.lua" for part in ("head", f"{verb}_alone", "grants", verb)]
        text = b"\n".join(part.read_bytes() for part in parts if part.is_file())
        # The server knows scripts by this very digest; it protects nothing.
        return cls(text, sha1(text, usedforsecurity=False).hexdigest().encode())


ACQUIRE = Script.read("acquire")
RELEASE = Script.read("release")
FORCE_RELEASE = Script.read("force_release")
EXTEND = Script.read("extend")
CANCEL = Script.read("cancel")
INSPECT = Script.read("inspect")

_TEXTS = {
    script.sha: script.text for script in (ACQUIRE, RELEASE, FORCE_RELEASE, EXTEND, CANCEL, INSPECT)
}


def with_text(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """The ``EVALSHA`` command with the script's text, for a server that has forgotten it."""
    return ("EVAL", _TEXTS[command[1]], *command[2:])
