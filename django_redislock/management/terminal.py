"""Terminals: how large they are, and commands that write to them."""

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
    """Let a stream write escapes for characters that its encoding lacks, where it would raise."""
    # Not every stream encodes what it is given.
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")


@contextmanager
def until_closed(stream: OutputWrapper) -> Iterator[None]:
    """Write to a stream until its reader has had enough, as ``head`` has: nothing follows then."""
    try:
        yield
        # Else Python writes it when it ends, and complains where nobody reads.
        stream.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        # What is left in the buffer, too.
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def height_of(stream: OutputWrapper) -> int | None:
    """How many lines the terminal shows; None for a file or a pipe."""
    return shutil.get_terminal_size().lines if stream.isatty() else None


def width_of(stream: OutputWrapper) -> int | None:
    """The width of the terminal; None for a file or a pipe, where nothing needs to be cut."""
    return shutil.get_terminal_size().columns if stream.isatty() else None
