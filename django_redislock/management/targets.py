"""Holds that a command is to release, as they were found."""

from __future__ import annotations

from collections.abc import Iterator

from ..handler import lock_backends
from ..operations.audit import log_cleared_lock
from ..operations.selection import Listed

__all__ = ["Targets"]


class Targets:
    """Names and tokens by backend. A million of them take less than 200 MB."""

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[str, str]]] = {}

    def add(self, one: Listed) -> None:
        self._seen.setdefault(one.alias, []).append((one.entry.name, one.entry.token))

    def __len__(self) -> int:
        return sum(map(len, self._seen.values()))

    def release(self) -> Iterator[bool]:
        """Release the holds in order. Yields False for a hold that had ended or changed since."""
        for alias, seen in self._seen.items():
            hits = lock_backends[alias].force_release_all(seen)
            for (name, token), hit in zip(seen, hits, strict=True):
                if hit:
                    log_cleared_lock(alias, name, token)
                yield hit
