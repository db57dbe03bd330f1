"""Terminals: their size, and a base class for commands that write to them."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError, OutputWrapper

from .stopping import exit_code_of

__all__ = [
    "TerminalCommand",
    "can_write_all",
    "encoding_of",
    "height_of",
    "until_closed",
    "width_of",
    "written",
]


class TerminalCommand(BaseCommand):
    """A command that people call from a terminal, and jobs without one.

    It writes no colours where ``NO_COLOR`` is set (https://no-color.org), nothing to a standard
    stream that was closed, and no traceback when it is interrupted.
    """

    # Errors elsewhere in the project must stop neither an operator nor a job.
    requires_system_checks: list[str] = []

    def __init__(
        self, stdout: TextIO | None = None, stderr: TextIO | None = None, **options: Any
    ) -> None:
        super().__init__(_open(stdout or sys.stdout), _open(stderr or sys.stderr), **options)

    @property
    def is_on_the_command_line(self) -> bool:
        return getattr(self, "_called_from_command_line", False)

    def execute(self, *args: Any, **options: Any) -> str | None:
        if os.environ.get("NO_COLOR") and not options.get("force_color"):
            options["no_color"] = True
        try:
            if not self.is_on_the_command_line:
                options |= self._read(options)
            return super().execute(*args, **options)
        except argparse.ArgumentTypeError as error:
            raise CommandError(str(error), returncode=2) from None
        except KeyboardInterrupt as interrupt:
            if self.is_on_the_command_line:
                # The exit waits for the server for a while; a second Ctrl-C ends it at once.
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                sys.exit(exit_code_of(interrupt))
            raise

    def _read(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Check the options that ``call_command`` passes unchecked.

        A string is read as it is on the command line.
        """
        read = {}
        # Django's ``call_command`` uses this list, too.
        for action in self.create_parser("", "")._actions:
            if options.get(action.dest) is not None:
                try:
                    read[action.dest] = _value_of(action, options[action.dest])
                except argparse.ArgumentTypeError as error:
                    flag = max(action.option_strings, key=len, default=action.dest)
                    raise argparse.ArgumentTypeError(f"{flag}: {error}") from None
        return read


def _value_of(action: argparse.Action, value: Any) -> Any:
    if isinstance(value, str):
        value = action.type(value) if callable(action.type) else value
    elif action.type is None and action.nargs is None:
        raise argparse.ArgumentTypeError(f"{value!r} is not a string")
    if action.choices is not None and value not in action.choices:
        known = ", ".join(map(str, action.choices))
        raise argparse.ArgumentTypeError(f"{value!r} is not one of {known}")
    return value


class _Nowhere(io.TextIOBase):
    """A stream that forgets what is written to it."""

    def write(self, text: str) -> int:
        return len(text)


def _open(stream: TextIO | None) -> TextIO:
    # Python has None for a standard stream that was closed before it started.
    return stream or cast("TextIO", _Nowhere())


def can_write_all(stream: OutputWrapper) -> None:
    """Make a stream escape characters that its encoding lacks, instead of raising an error."""
    # Not every stream has an encoding.
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")


def encoding_of(stream: OutputWrapper) -> str:
    """Return the encoding of a stream. A stream without one, as in a test, takes any character."""
    return getattr(stream, "encoding", None) or "utf-8"


@contextmanager
def written(stream: OutputWrapper) -> Iterator[None]:
    """Raise ``CommandError`` if what the block writes to a stream cannot be written."""
    try:
        yield
        # Otherwise Python flushes at exit, and prints an error if that fails.
        stream.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        # So that the rest of the buffer is discarded, too.
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        raise CommandError(f"The output cannot be written: {error.strerror}.") from error


@contextmanager
def until_closed(stream: OutputWrapper) -> Iterator[None]:
    """Write to a stream until its reader closes it, as ``head`` does; then stop silently."""
    try:
        with written(stream):
            yield
    except CommandError as error:
        if not isinstance(error.__cause__, BrokenPipeError):
            raise


def height_of(stream: OutputWrapper) -> int | None:
    """Return the number of lines of the terminal; None for a file or a pipe."""
    return shutil.get_terminal_size().lines if stream.isatty() else None


def width_of(stream: OutputWrapper) -> int | None:
    """Return the width of the terminal; None for a file or a pipe, where nothing must be cut."""
    return shutil.get_terminal_size().columns if stream.isatty() else None
