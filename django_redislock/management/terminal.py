"""Terminals: their size, and a base class for commands that write to them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, OutputWrapper

__all__ = ["TerminalCommand", "can_write_all", "height_of", "until_closed", "width_of"]


class TerminalCommand(BaseCommand):
    """A command without colours where ``NO_COLOR`` is set (https://no-color.org)."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        if os.environ.get("NO_COLOR") and not options.get("force_color"):
            options["no_color"] = True
        return super().execute(*args, **options)


def can_write_all(stream: OutputWrapper) -> None:
    """Make a stream escape characters that its encoding lacks, instead of raising an error."""
    # Not every stream has an encoding.
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")


@contextmanager
def until_closed(stream: OutputWrapper) -> Iterator[None]:
    """Write to a stream until its reader closes it, as ``head`` does; then stop silently."""
    try:
        yield
        # Otherwise Python flushes at exit, and prints an error if the reader is gone.
        stream.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        # So that the rest of the buffer is discarded, too.
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def height_of(stream: OutputWrapper) -> int | None:
    """Return the number of lines of the terminal; None for a file or a pipe."""
    return shutil.get_terminal_size().lines if stream.isatty() else None


def width_of(stream: OutputWrapper) -> int | None:
    """Return the width of the terminal; None for a file or a pipe, where nothing must be cut."""
    return shutil.get_terminal_size().columns if stream.isatty() else None
