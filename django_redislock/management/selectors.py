"""Command-line arguments that select locks."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from ..commands import seconds_of, seconds_option
from ..exceptions import InvalidLockBackend
from ..handler import lock_backends
from ..operations.asking import Silent
from ..operations.filters import Criteria
from ..operations.states import EXCLUSIVE

__all__ = [
    "NOT_FOUND",
    "add_selectors",
    "chosen_aliases",
    "chosen_criteria",
    "complain",
    "reasons",
    "said",
    "whole_number",
]

# Said of backends some of whose servers do not answer.
NOT_FOUND = gettext_lazy("Some locks of these backends were not found.")

FLAGS = ("all", "waiters", "orphaned")


def add_selectors(parser: CommandParser) -> None:
    parser.add_argument(
        "names", nargs="*", default=[], metavar="GLOB", help="names to select, like --name"
    )
    parser.add_argument(
        "--name",
        nargs="+",
        action="extend",
        default=[],
        metavar="GLOB",
        help='names to select, such as "order:42" or "order:*" (*, ? and [...]; case matters)',
    )
    parser.add_argument(
        "--holder",
        metavar="HOST[:PID]",
        help='only locks held by this host, or this process on it: "web-1", "web-*", "web-1:4242"',
    )
    parser.add_argument(
        "--older-than",
        type=seconds_option,
        metavar="TIME",
        help="only locks held for longer than this: 90, 90s, 10m, 2h or 1d",
    )
    parser.add_argument("--waiters", action="store_true", help="only locks that have waiters")
    parser.add_argument(
        "--orphaned",
        action="store_true",
        help="only abandoned locks: the process ran on this host and has ended, or the lease was "
        "renewed before and no longer is",
    )
    parser.add_argument(
        "--state",
        choices=EXCLUSIVE,
        help="only locks in this state; overdue: past MAX_HOLD, silent: lost contact",
    )
    parser.add_argument(
        "--using",
        "--backend",
        dest="using",
        metavar="ALIAS",
        help="the backend, an alias of LOCKS; default: all backends",
    )


def chosen_aliases(using: str | None) -> list[str]:
    """Return the alias that was given, or all aliases. Raises ``CommandError``."""
    try:
        aliases = list(lock_backends)
    except InvalidLockBackend as error:
        raise CommandError(str(error)) from error
    if using is None:
        return aliases
    if using not in aliases:
        known = ", ".join(map(repr, aliases))
        text = f"LOCKS has no backend {using!r}. Choose one of {known}."
        raise CommandError(text, returncode=2)
    return [using]


def chosen_criteria(options: Mapping[str, Any]) -> Criteria:
    """Return the criteria of the arguments. ``call_command`` may also pass times as numbers."""
    globs = _globs(options)
    _check_globs(globs)
    host, pid = _host_and_pid(options["holder"])
    older_than = options["older_than"]
    states = [
        ("waited", options["waiters"]),
        ("orphaned", options["orphaned"]),
        (options["state"], options["state"]),
    ]
    return Criteria(
        globs=globs,
        host=host,
        pid=pid,
        older_than=None if older_than is None else seconds_of(older_than, "--older-than"),
        states=tuple(state for state, wanted in states if wanted),
    )


def said(options: Mapping[str, Any]) -> str:
    """Return the selectors as they would be written on the command line."""
    given = [
        *(f"--name {name!r}" for name in _globs(options)),
        *(f"--{name.replace('_', '-')}" for name in FLAGS if options.get(name)),
        *(
            f"--{name.replace('_', '-')} {options[name]}"
            for name in ("holder", "older_than", "state", "using")
            if options[name] is not None
        ),
    ]
    return " ".join(given)


def whole_number(text: str, least: int = 0) -> int:
    """Parse a whole number of ``least`` or more."""
    with suppress(ValueError):  # of thousands of digits, too
        if text.strip().isdecimal() and (number := int(text)) >= least:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")


def complain(silent: Sequence[Silent], consequence: str | Promise) -> None:
    """Raise ``CommandError`` if some backend could not list its locks."""
    if silent:
        raise CommandError("\n".join([*reasons(silent), str(consequence)])) from silent[0].error


def reasons(silent: Sequence[Silent]) -> list[str]:
    """Return why each backend failed, with its entry in ``LOCKS`` if the error does not name it."""
    return [
        str(one.error)
        if (where := f"LOCKS[{one.alias!r}]") in str(one.error)
        else f"{where}: {one.error}"
        for one in silent
    ]


def _globs(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names. ``call_command`` may also pass a single string."""
    return (*_each(options["names"]), *_each(options["name"]))


def _each(given: str | Sequence[str] | None) -> Sequence[str]:
    return (given,) if isinstance(given, str) else given or ()


def _check_globs(globs: Sequence[Any]) -> None:
    for glob in globs:
        if not isinstance(glob, str):
            raise CommandError(f"{glob!r} is not a string, as a name is.", returncode=2)
        if not glob:  # a script has passed an empty variable
            raise CommandError("The name '' is empty. Write a name or a pattern.", returncode=2)
        try:
            glob.encode()
        except UnicodeEncodeError:
            text = f"{glob!r} is not valid Unicode, so it cannot be the name of a lock."
            raise CommandError(text, returncode=2) from None


def _host_and_pid(holder: str | None) -> tuple[str, int | None]:
    if holder is None:
        return "", None
    host, colon, pid = holder.rpartition(":")
    if not (host and pid if colon else pid):
        # A script has passed an empty variable: the other part alone would select other locks.
        text = f"--holder lacks the host or the pid: {holder!r}. Write HOST or HOST:PID."
        raise CommandError(text, returncode=2)
    if colon and pid.isdecimal():
        return host, whole_number(pid)
    return holder, None
