"""Who holds a lock, as the holder itself writes it down."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

__all__ = ["Holder"]


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, or waits for it. ``started`` tells a pid from its later reuse.

    For ``renews_for`` seconds it renews its lease; None: as long as it holds.
    """

    host: str = ""
    pid: int = 0
    thread: str = ""
    what: str = ""
    label: str = ""
    started: int = 0
    renews_for: float | None = None

    def __str__(self) -> str:
        who = f"{self.what or 'unknown'} ({self.host or '?'}, pid {self.pid}, {self.thread})"
        return f"{who} for {self.label}" if self.label else who

    def pack(self) -> str:
        fields = {field: value for field, value in asdict(self).items() if value is not None}
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def unpack(cls, text: str) -> Holder:
        """Read what ``pack`` wrote; fields of a newer release are left out."""
        known = cls.__dataclass_fields__
        return cls(**{field: value for field, value in json.loads(text).items() if field in known})
