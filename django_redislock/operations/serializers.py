"""Serializers of live holds for other programs: JSON, JSON Lines and CSV, all without the token.

Each writes line by line, so that a million holds need no more memory than one.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..exceptions import readable
from .selection import Found
from .states import kind_of, state_of

__all__ = ["as_csv", "as_json", "as_jsonl"]

# Anyone who knows the whole token can release the lock.
SHOWN = 8

COLUMNS = (
    "backend", "name", "kind", "limit", "held", "state", "remaining", "lease", "since", "held_for",
    "waiters", "longest_wait", "fence", "token_prefix", "host", "pid", "thread", "what", "label",
    "started", "renews_for", "owner", "group",
)  # fmt: skip

# Characters with which a spreadsheet formula begins.
FORMULA = ("=", "+", "-", "@")

# Fields that are unknown for a damaged hold.
UNREADABLE = ("kind", "limit", "held", "lease", "since", "held_for", "fence")


def as_json(found: Iterable[Found]) -> Iterator[str]:
    """Yield the lines of one array."""
    before = "["
    for one in found:
        yield before + json.dumps(_fields(one), indent=2)
        before = ","
    yield "]" if before == "," else "[]"


def as_jsonl(found: Iterable[Found]) -> Iterator[str]:
    """Yield an object per line."""
    for one in found:
        yield json.dumps(_fields(one))


def as_csv(found: Iterable[Found]) -> Iterator[str]:
    """Yield a heading and a line per hold. Control characters are escaped; None is left empty."""
    yield _csv_line(COLUMNS)
    for one in found:
        fields = _fields(one)
        fields |= fields.pop("holder")
        values = (fields[column] for column in COLUMNS)
        yield _csv_line([_cell(value) for value in values])


def _cell(value: object) -> str | None:
    if value is None:
        return None
    text = readable(value)
    # A spreadsheet would run such a text as a formula.
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text


def _csv_line(cells: Sequence[str | None]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _fields(found: Found) -> dict[str, Any]:
    """Return the fields of a hold, with None for those that are unknown."""
    fields = _all_fields(found)
    if found.hold.damaged:
        fields |= dict.fromkeys(UNREADABLE) | {"holder": dict.fromkeys(fields["holder"])}
    return fields


def _all_fields(found: Found) -> dict[str, Any]:
    hold = found.hold
    return {
        "backend": found.alias,
        "name": hold.name,
        "kind": kind_of(hold),
        "limit": hold.limit if not hold.shared else None,
        "held": hold.held,
        "state": state_of(hold),
        "remaining": round(hold.remaining, 3),
        "lease": hold.lease,
        "since": hold.since.isoformat(),
        "held_for": round(hold.age, 3),
        "waiters": hold.waiters,
        "longest_wait": round(hold.longest_wait, 3),
        "fence": hold.fence,
        "token_prefix": hold.token[:SHOWN],
        "holder": dict(vars(hold.holder)),
    }
