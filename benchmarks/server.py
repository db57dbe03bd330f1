"""Measurements of the server during a benchmark: commands, time and messages."""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections import Counter
from types import TracebackType
from typing import Any

from redis import Redis

__all__ = ["Commands", "cpu_seconds", "messages", "time_in_commands"]

REPLY_WITHIN = 60.0  # seconds
# Commands of the benchmark itself, and those that a connection sends once when it is opened.
ASIDE = {"info", "config", "client", "hello", "select", "script", "subscribe", "ssubscribe", "ping"}
ASIDE |= {"echo", "monitor"}
# "+1764104400.123456 [0 127.0.0.1:54321] "SET" ..." for a client, "[0 lua]" for a script.
LINE = re.compile(rb'^\+[\d.]+ \[\d+ ([^\s\]]+)\] "(\w+)"', re.MULTILINE)


class Commands:
    """Counts commands by name during its block, those sent by clients and those run by scripts.

    It uses MONITOR, which slows the server down, so do not measure time during the block.
    """

    def __init__(self, client: Redis) -> None:
        self.sent: Counter[str] = Counter()
        self.in_scripts: Counter[str] = Counter()
        self._client = client
        self._last = secrets.token_hex(8)  # an argument that marks the last command to count
        self._heard = bytearray()

    def __enter__(self) -> Commands:
        place = self._client.connection_pool.connection_kwargs
        self._monitor = socket.create_connection(
            (place["host"], place["port"]), timeout=REPLY_WITHIN
        )
        self._monitor.sendall(b"MONITOR\r\n")
        if not self._monitor.recv(5).startswith(b"+OK"):
            raise RuntimeError("The server refuses MONITOR.")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.echo(self._last)
        self._reader.join()
        self._monitor.close()
        for source, name in LINE.findall(self._heard):
            command = name.decode().lower()
            if command not in ASIDE:
                (self.in_scripts if source == b"lua" else self.sent)[command] += 1

    def share_sent(self, command: str) -> float:
        """Return the share of these commands that came from clients and not from scripts."""
        sent = self.sent[command]
        return sent / (sent + self.in_scripts[command]) if sent else 0.0

    def _read(self) -> None:
        last = self._last.encode()
        while chunk := self._monitor.recv(1 << 20):
            self._heard += chunk
            if last in self._heard[-len(chunk) - len(last) :]:
                return


def time_in_commands(client: Redis, commands: Commands) -> float:
    """Return the microseconds in commands sent by clients, since the last reset of the statistics.

    Commands in scripts must be left out: a script's time includes theirs.
    """
    return sum(
        float(stat["usec"]) * commands.share_sent(name.removeprefix("cmdstat_"))
        for name, stat in _info(client, "commandstats").items()
    )


def cpu_seconds(client: Redis) -> float:
    cpu = _info(client, "cpu")
    return float(cpu["used_cpu_sys"] + cpu["used_cpu_user"])


def messages(client: Redis) -> int:
    """Return how often the server has read from a connection. This request counts as one."""
    return int(_info(client, "stats")["total_reads_processed"])


def _info(client: Redis, section: str) -> dict[str, Any]:
    info: dict[str, Any] = client.info(section)
    return info
