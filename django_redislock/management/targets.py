"""Holds that a command is to release, as they were found."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

from ..exceptions import LockUnavailable
from ..handler import lock_backends
from ..operations.asking import by_server
from ..operations.audit import log_cleared_lock
from ..operations.selection import Listed

__all__ = ["Targets"]


class Targets:
    """Names and tokens by backend. A million of them take less than 200 MB.

    ``failures``: the error of each server that did not release all of its holds, with their names.
    """

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[str, str]]] = {}
        self.failures: list[tuple[LockUnavailable, list[str]]] = []

    def add(self, one: Listed) -> None:
        self._seen.setdefault(one.alias, []).append((one.entry.name, one.entry.token))

    def __len__(self) -> int:
        return sum(map(len, self._seen.values()))

    def release(self) -> Iterator[bool]:
        """Release the holds, server by server. Yields False for one that had ended or changed."""
        for alias, seen in self._seen.items():
            backend = lock_backends[alias]
            for holds in by_server(backend, seen, itemgetter(0)):
                done = 0
                try:
                    for hit in backend.force_release_all(holds):
                        name, token = holds[done]
                        done += 1
                        if hit:
                            log_cleared_lock(alias, name, token)
                        yield hit
                except LockUnavailable as error:
                    self.failures.append((error, [name for name, _ in holds[done:]]))
