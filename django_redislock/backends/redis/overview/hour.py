"""Figures of the last hour in Redis: one hash per time slot, and one for the last minutes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import count, islice

from ....figures.meter import Batch
from ....figures.tallies import (
    MINUTE,
    MINUTES,
    MOST_FAMILIES,
    SLOT,
    SLOTS,
    Minute,
    Slot,
    Tally,
    last_hour,
    last_minutes,
)
from ..keys import figure_keys, minutes_key
from ..scripts import ADD_TALLIES
from ..wire.replies import Exchanger
from .reading import HIGHEST, Words, ask, whole

__all__ = ["add", "minutes", "slots"]

# How many families are sent in one go. More would block the server's other clients for too long.
CHUNK = 20


def add(node: Exchanger, prefix: str, batch: Batch) -> None:
    keys = [minutes_key(prefix), *figure_keys(prefix, SLOTS)]
    families = iter(batch.tallies.items())
    for number in count():
        chunk = list(islice(families, CHUNK))
        if not chunk:
            return
        seen = f"{keys[1]}:{batch.key}-{number}"
        whole_chunk = Tally.sum_of(tally for _, tally in chunk)
        fields = [part for family, tally in chunk for part in (family, _packed(tally))]
        command: Words = (
            "EVAL",
            ADD_TALLIES,
            len(keys) + 1,
            seen,
            *keys,
            SLOT,
            MOST_FAMILIES,
            MINUTE,
            MINUTES,
            _packed(whole_chunk),
            *fields,
        )
        ask(node, [command])


def slots(node: Exchanger, prefix: str, families: Collection[str] | None = None) -> list[Slot]:
    keys = figure_keys(prefix, SLOTS)
    if families is None:
        (seconds, _), *replies = ask(node, [("TIME",), *(("HGETALL", key) for key in keys)])
        hashes = [zip(flat[::2], flat[1::2], strict=True) for flat in replies]
    else:
        fields = [b"slot", *(f":{family}".encode() for family in families)]
        commands: list[Words] = [("HMGET", key, *fields) for key in keys]
        (seconds, _), *replies = ask(node, [("TIME",), *commands])
        # The reply is empty for a key of another type.
        hashes = [zip(fields, values, strict=False) for values in replies]
    return last_hour(int(seconds) // SLOT, dict(map(_slot, map(dict, hashes))))


def minutes(node: Exchanger, prefix: str) -> list[Minute]:
    """Return the figures of the last minutes, summed over all families."""
    command: Words = ("HMGET", minutes_key(prefix), *range(MINUTES))
    (seconds, _), values = ask(node, [("TIME",), command])
    known = {}
    for value in values or ():
        number, *figures = _numbers(value) or [0]
        if tally := _tally(figures):
            known[number] = tally
    return last_minutes(int(seconds), known)


def _slot(fields: Mapping[bytes, bytes | None]) -> tuple[int, dict[str, Tally]]:
    """The number of a slot and its families. Fields without a colon are about the slot."""
    tallies = {
        field[1:].decode(errors="replace"): _tally(_numbers(figures))
        for field, figures in fields.items()
        if field[:1] == b":"
    }
    return whole(fields.get(b"slot")), {
        family: tally for family, tally in tallies.items() if tally is not None
    }


def _packed(tally: Tally) -> str:
    return json.dumps(tally.figures(), separators=(",", ":"))


def _numbers(packed: bytes | None) -> list[int]:
    """Return the numbers, or an empty list for a value that no script wrote."""
    try:
        numbers = json.loads(packed or b"")
    except (ValueError, RecursionError):
        return []
    if not isinstance(numbers, list):
        return []
    if any(type(number) is not int or not 0 <= number <= HIGHEST for number in numbers):
        return []
    return numbers


def _tally(figures: Sequence[int]) -> Tally | None:
    return Tally.of(figures) if len(figures) == len(Tally().figures()) else None
