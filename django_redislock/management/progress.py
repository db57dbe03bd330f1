"""Progress bar for long work, in one line of a terminal."""

from __future__ import annotations

import shutil
from contextlib import suppress

from django.core.management.base import CommandError, OutputWrapper
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ..clock import monotonic
from .terminal import written

__all__ = ["Progress"]

# Work that takes less than this (seconds) shows no progress.
QUIET = 1.0
EVERY = 0.1
BAR = 30


class Progress:
    """``with Progress(stream, "Released") as progress: progress.show(done, total)``.

    Nothing is written during the first second, or if the stream is not a terminal.
    """

    def __init__(self, stream: OutputWrapper, what: str) -> None:
        self._stream = stream
        self._what = what
        self._shows = stream.isatty()
        self._next = monotonic() + QUIET
        self._written = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._written:
            self._write("")

    def show(self, done: int, total: int) -> None:
        now = monotonic()
        if not self._shows or now < self._next:
            return
        self._next = now + EVERY
        share = min(1.0, done / total) if total else 0.0
        filled = int(share * BAR)
        bar = "#" * filled + "." * (BAR - filled)
        numbers = _("%(done)s of %(total)s") % {
            "done": number_format(done, force_grouping=True),
            "total": number_format(total, force_grouping=True),
        }
        self._write(f"{self._what} [{bar}] {share:4.0%}  {numbers}")

    def _write(self, text: str) -> None:
        text = text[: shutil.get_terminal_size().columns - 1]
        # The work goes on if its terminal is gone.
        with suppress(CommandError), written(self._stream):
            self._stream.write(f"\r{text.ljust(self._written)}", str, ending="" if text else "\r")
        self._written = len(text)
