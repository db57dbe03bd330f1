"""Forked children of a test's process, and what they answer."""

from __future__ import annotations

import atexit
import ctypes
import os
import select
import signal
from collections.abc import Callable
from typing import TextIO

# How many children of silent forks are tried, and how long (seconds) one may take to answer.
SILENT_CHILDREN = 4
SILENT_WITHIN = 8.0


def in_child(work: Callable[[], list[str]]) -> list[str]:
    """Run `work` and then the exit handlers in a forked child; return the result of `work`."""
    pid, answer = _child(work, os.fork)
    with answer:
        wrong = answer.read().splitlines()
    os.waitpid(pid, 0)
    return wrong


def in_silent_child(work: Callable[[], list[str]]) -> list[str]:
    """Like `in_child`, by a fork that Python does not notice.

    If a thread of the parent waits for the GIL at that moment, Python lets the child wait for ever
    for this thread, which it does not have. So a child without an answer is replaced by another.
    """
    for _ in range(SILENT_CHILDREN):
        pid, answer = _child(work, ctypes.PyDLL(None).fork)
        with answer:
            answered, _, _ = select.select([answer], [], [], SILENT_WITHIN)
            if not answered:
                os.kill(pid, signal.SIGKILL)
            wrong = answer.read().splitlines()
        os.waitpid(pid, 0)
        if answered:
            return wrong
    return [f"none of {SILENT_CHILDREN} children has answered"]


def _child(work: Callable[[], list[str]], fork: Callable[[], int]) -> tuple[int, TextIO]:
    """Fork, and return the child's process id and the file that its answer comes from."""
    reader, writer = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            wrong = work()
        except BaseException as error:  # noqa: BLE001 - the parent reports it
            wrong = [f"it raised {error!r}"]
        atexit._run_exitfuncs()
        os.write(writer, "\n".join(wrong).encode())
        os._exit(0)
    os.close(writer)
    return pid, os.fdopen(reader)
