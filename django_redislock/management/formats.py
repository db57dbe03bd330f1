"""Live holds for other programs: JSON, a JSON object a line, CSV. The token is in none of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from ..exceptions import readable
from ..operations.criteria import age, kind_of
from ..operations.selection import Found

__all__ = ["as_csv", "as_json", "as_jsonl"]

# Who knows the whole token can release the lock.
SHOWN = 8

COLUMNS = (
    "backend", "name", "kind", "limit", "remaining", "lease", "since", "held_for", "waiters",
    "fence", "token_prefix", "host", "pid", "thread", "what", "label", "started",
)  # fmt: skip


def as_json(found: Iterable[Found]) -> str:
    """One array."""
    return json.dumps([_fields(one) for one in found], indent=2)


def as_jsonl(found: Iterable[Found]) -> Iterator[str]:
    """An object a line."""
    for one in found:
        yield json.dumps(_fields(one))


def as_csv(found: Iterable[Found]) -> str:
    """A heading and a line for each; control characters are written as escapes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in found:
        fields = _fields(one)
        fields |= fields.pop("holder")
        writer.writerow([readable(fields[column]) for column in COLUMNS])
    return text.getvalue().rstrip("\n")


def _fields(found: Found) -> dict[str, Any]:
    hold = found.hold
    return {
        "backend": found.alias,
        "name": hold.name,
        "kind": kind_of(hold),
        "limit": hold.limit if not hold.shared else None,
        "remaining": round(hold.remaining, 3),
        "lease": hold.lease,
        "since": hold.since.isoformat(),
        "held_for": round(age(hold), 3),
        "waiters": hold.waiters,
        "fence": hold.fence,
        "token_prefix": hold.token[:SHOWN],
        "holder": asdict(hold.holder),
    }
