"""Parser of RESP commands in the bytes that a client sends."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Command:
    """One command: its `name` in capitals, its arguments, and its raw bytes."""

    name: str
    args: tuple[bytes, ...]
    raw: bytes

    def contains(self, part: bytes) -> bool:
        """Return whether the name (ignoring case) or an argument contains `part`."""
        return part.upper() in self.name.encode() or any(part in arg for arg in self.args)


def take_commands(data: bytes) -> tuple[list[Command], bytes]:
    """Return the complete commands at the start of `data`, and the remaining bytes."""
    commands = []
    position = 0
    while (parsed := _parse(data, position)) is not None:
        words, stop = parsed
        raw = data[position:stop]
        position = stop
        name = words[0].decode(errors="replace").upper() if words else ""
        commands.append(Command(name, tuple(words[1:]), raw))
    return commands, data[position:]


def _parse(data: bytes, start: int) -> tuple[list[bytes], int] | None:
    """Return the words of the command at `start` and where it ends; None if it is incomplete."""
    line_end = data.find(b"\r\n", start)
    if line_end < 0:
        return None
    if data[start : start + 1] != b"*":
        return data[start:line_end].split(), line_end + 2
    words = []
    position = line_end + 2
    for _ in range(int(data[start + 1 : line_end])):
        line_end = data.find(b"\r\n", position)
        if line_end < 0:
            return None
        first = line_end + 2
        position = first + int(data[position + 1 : line_end]) + 2
        if len(data) < position:
            return None
        words.append(data[first : position - 2])
    return words, position
