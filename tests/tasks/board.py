"""Board of notes between a test and the work in a server or a worker."""

from __future__ import annotations

from redis import Redis

WITHIN = 45  # seconds; a deadline for a machine under load, not an expectation


class Board:
    """Notes in Redis, under the key prefix of a test."""

    def __init__(self, url: str, prefix: str) -> None:
        # No time limit but that of each take().
        self._client = Redis.from_url(url, socket_timeout=None)
        self._prefix = f"{prefix}:board"

    def close(self) -> None:
        self._client.close()

    def put(self, note: str) -> None:
        """Leave a note, which one process can take."""
        self._client.rpush(f"{self._prefix}:{note}", "1")
        self._client.expire(f"{self._prefix}:{note}", 600)

    def take(self, note: str) -> None:
        """Wait until the note is there, and take it away."""
        assert self._client.blpop([f"{self._prefix}:{note}"], timeout=WITHIN), f"no {note!r}"

    def has(self, note: str) -> bool:
        """Whether such a note is there."""
        return bool(self._client.exists(f"{self._prefix}:{note}"))

    def work(self, what: str) -> str:
        """Work under a lock, which lasts until the test leaves the note that it may end."""
        self.put(f"{what} began")
        self.take(f"{what} may end")
        return f"{what} done"
