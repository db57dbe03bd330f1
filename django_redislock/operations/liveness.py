"""Liveness of a holder's process, as far as it can be seen from this host."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ..backends.base import Holder

__all__ = ["runs"]

PROCESSES = Path("/proc")

# The fields after the name in /proc/PID/stat: the state, and the start time in ticks since boot.
STATE, STARTED = 0, 19
DEAD = (b"Z", b"X")


def runs(holder: Holder) -> bool | None:
    """Whether the holder's process runs; None if it is on another host, or cannot be checked.

    A start time that differs shows that the pid has been reused. Hosts are compared by name, so
    containers with the same host name look like one host, although each has its own pids.
    """
    if holder.host != socket.gethostname() or not isinstance(holder.pid, int) or holder.pid <= 0:
        return None
    try:
        fields = (PROCESSES / str(holder.pid) / "stat").read_bytes().rpartition(b")")[2].split()
        state, started = fields[STATE], int(fields[STARTED])
    except (FileNotFoundError, ProcessLookupError):
        return _hidden_or_gone(holder.pid)
    except (OSError, ValueError, IndexError):
        return None
    return state not in DEAD and holder.started in (0, started)


def _hidden_or_gone(pid: int) -> bool | None:
    """``/proc`` may hide the processes of other users, and not every system has it."""
    if not (PROCESSES / "self" / "stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user, or too large for a process id
        return None
    return None
