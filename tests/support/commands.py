"""Output of management commands."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from django.core.management import call_command

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand

__all__ = ["Terminal", "output_of"]


class Terminal(io.StringIO):
    """An output stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def output_of(command: str | BaseCommand, *arguments: object, **options: Any) -> str:
    """Run the command and return its output, without colours."""
    stream = io.StringIO()
    call_command(command, *arguments, stdout=stream, no_color=True, **options)
    return stream.getvalue()
