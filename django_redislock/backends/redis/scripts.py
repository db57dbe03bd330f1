"""The Lua scripts, one for each verb, read from ``lua/`` and known to the server by their SHA-1."""

from __future__ import annotations

from hashlib import sha1
from importlib import resources
from typing import NamedTuple

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
    def read(cls, *parts: str) -> Script:
        """One script of several files."""
        folder = resources.files(__package__) / "lua"
        text = b"\n".join((folder / f"{part}.lua").read_bytes() for part in parts)
        # The server knows scripts by this very digest; it protects nothing.
        return cls(text, sha1(text, usedforsecurity=False).hexdigest().encode())


# What is common comes first, and returns before the functions that it does not need are made.
ACQUIRE = Script.read("head", "clock", "acquire_alone", "tell", "grants", "acquire")
RELEASE = Script.read("head", "release_alone", "clock", "tell", "grants", "release")
EXTEND = Script.read("head", "clock", "extend_alone", "tell", "grants", "extend")
INSPECT = Script.read("head", "clock", "inspect_alone", "tell", "grants", "inspect")
FORCE_RELEASE = Script.read(
    "head", "clock", "tell", "force_release_alone", "grants", "force_release"
)
CANCEL = Script.read("head", "clock", "tell", "grants", "cancel")

_TEXTS = {
    script.sha: script.text for script in (ACQUIRE, RELEASE, FORCE_RELEASE, EXTEND, CANCEL, INSPECT)
}
_BY_SHA = b"$7\r\nEVALSHA\r\n$40\r\n"


def with_text(command: bytes) -> bytes:
    """The packed ``EVALSHA`` with the script's text, for a server that has forgotten it."""
    start, rest = command.split(_BY_SHA, 1)
    text = _TEXTS[rest[:40]]
    return b"%b$4\r\nEVAL\r\n$%d\r\n%b%b" % (start, len(text), text, rest[40:])
