"""The Lua scripts, one for each verb, read from ``lua/`` and known to the server by their SHA-1."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from importlib import resources
from itertools import takewhile
from typing import NamedTuple

from redis.exceptions import NoScriptError

__all__ = [
    "ACQUIRE",
    "ADD_TALLIES",
    "CANCEL",
    "EXTEND",
    "FORCE_RELEASE",
    "INSPECT",
    "RELEASE",
    "Script",
    "to_be_sent_again",
    "with_text",
]


def _text_of(part: str) -> bytes:
    return (resources.files(__package__) / "lua" / f"{part}.lua").read_bytes()


class Script(NamedTuple):
    """The text of a script and the name under which the server remembers it."""

    text: bytes
    sha: bytes

    @classmethod
    def read(cls, *parts: str) -> Script:
        """One script of several files."""
        text = b"\n".join(map(_text_of, parts))
        # Redis identifies scripts by SHA-1. It is not used for security here.
        return cls(text, sha1(text, usedforsecurity=False).hexdigest().encode())


# The fast path of a verb comes early and returns before Lua creates the functions that it does
# not need.
_HAND_OVER = ("bucket", "records", "holders", "hand_over")
ACQUIRE = Script.read(
    *("keys", "clock", "queue_fast", "acquire_fast"),
    *("notify", *_HAND_OVER, "sweep", "acquire", "run"),
)
RELEASE = Script.read(
    *("keys", "release_fast", "clock", "notify", "hand_over_fast"), *_HAND_OVER, "release", "run"
)
EXTEND = Script.read(
    "keys", "clock", "bucket", "records", "extend_fast", "holders", "extend", "run"
)
INSPECT = Script.read("keys", "clock", "bucket", "records", "holders", "inspect", "run")
FORCE_RELEASE = Script.read("keys", "clock", "notify", *_HAND_OVER, "force_release", "run")
CANCEL = Script.read("keys", "clock", "notify", *_HAND_OVER, "cancel", "run")

# Sent as text each time: a process sends it at most every few seconds.
ADD_TALLIES = _text_of("add_tallies")

_TEXTS = {
    script.sha: script.text for script in (ACQUIRE, RELEASE, FORCE_RELEASE, EXTEND, CANCEL, INSPECT)
}
_BY_SHA = b"$7\r\nEVALSHA\r\n$40\r\n"


def to_be_sent_again(
    commands: Sequence[bytes], replies: Sequence[object]
) -> tuple[list[int], list[bytes]]:
    """Commands to resend after the server has forgotten scripts, and their reply positions.

    The first command of each script carries the script's text, which also loads it for the others.
    A ``WAIT`` is resent with the command before it: that script did not run, so there was nothing
    to acknowledge.
    """
    places: list[int] = []
    again: list[bytes] = []
    with_texts: set[bytes] = set()
    for place, reply in enumerate(replies):
        if isinstance(reply, NoScriptError):
            command = commands[place]
            sha = command.partition(_BY_SHA)[2][:40]
            waits = takewhile(_is_wait, commands[place + 1 :])
            some = [command if sha in with_texts else with_text(command), *waits]
            with_texts.add(sha)
            places += range(place, place + len(some))
            again += some
    return places, again


def _is_wait(command: bytes) -> bool:
    return command.startswith(b"*3\r\n$4\r\nWAIT\r\n")


def with_text(command: bytes) -> bytes:
    """The packed ``EVALSHA`` with the script's text, for a server that has forgotten it.

    Another command stays as it is.
    """
    if _BY_SHA not in command:
        return command
    start, rest = command.split(_BY_SHA, 1)
    text = _TEXTS[rest[:40]]
    return b"%b$4\r\nEVAL\r\n$%d\r\n%b%b" % (start, len(text), text, rest[40:])
