"""``LockedCommand``: a management command that runs in one process at a time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper

from .attributes import check_attributes, check_reached
from .conf import Duration, wait_seconds
from .exceptions import LockLost, LockNotAcquired, LockUnavailable
from .handles import Lock, MultiLock, lock
from .names import InvalidName, UnusableName, name_templates

__all__ = [
    "BUSY",
    "LOST",
    "UNAVAILABLE",
    "LockedCommand",
    "busy_text",
    "seconds_of",
    "seconds_option",
]

# As in sysexits.h: try again later, a service is unavailable, an internal error.
BUSY = 75
UNAVAILABLE = 69
LOST = 70

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class LockedCommand(BaseCommand):
    """A command that holds a lock while it runs. Goes before other base classes.

    ``lock_name``: a template filled from the command's options, such as ``"import:{feed}"``, or a
    list of templates; by default the name of the command. ``lock_wait``: seconds to wait for the
    lock; None is the alias's. ``lock_options``: options of ``lock()``.

    If the lock is busy, the command ends with ``busy_exit_code`` and prints the holder, unless
    ``busy_quiet`` is True or ``--verbosity`` is 0. With a code of 0 it counts as done. If the lock
    is lost, the command goes on and ends with ``lost_exit_code``, unless it fails itself.
    """

    lock_name: str | Sequence[str] = ""
    lock_wait: Duration | None = 0
    lock_options: Mapping[str, Any] = {}
    busy_exit_code: int = BUSY
    lost_exit_code: int = LOST
    busy_quiet: bool = False

    held: Lock | MultiLock | None = None
    """The handle, while the command runs; None with ``--no-lock``."""

    _subcommand = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_attributes(cls, LockedCommand)
        check_reached(cls, LockedCommand, "execute")

    def get_lock_name(self, options: Mapping[str, Any]) -> str | list[str]:
        """Return the name of the lock for these options, or several, which are taken together."""
        if not self.lock_name:
            return self._command_name()
        names = [template.fill(options) for template in name_templates(self.lock_name)]
        return names[0] if isinstance(self.lock_name, str) else names

    def check_lock(self) -> None:
        """Raise ``LockLost`` if the lock is not held any more. Does not ask the server."""
        if self.held is not None:
            self.held.check()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        self._subcommand = subcommand
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        group = parser.add_argument_group("lock")
        default = "WAIT of the alias" if self.lock_wait is None else self.lock_wait
        group.add_argument(
            "--no-lock", action="store_true", help="run without the lock, even if it is held"
        )
        group.add_argument(
            "--lock-wait",
            type=seconds_option,
            metavar="S",
            help=f"how long to wait for the lock; inf: for ever. Default: {default}",
        )
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        no_lock, wait = options.pop("no_lock", False), options.pop("lock_wait", None)
        if no_lock:
            return super().execute(*args, **options)
        names = self._names(options)
        wait = self.lock_wait if wait is None else seconds_of(wait, "--lock-wait")
        handle = self._handle(names, wait)
        try:
            with handle:
                self.held = handle
                return super().execute(*args, **options)
        except LockLost as error:
            if error.name not in names:
                raise
            raise CommandError(str(error), returncode=self.lost_exit_code) from error
        except LockNotAcquired as error:
            if self.held is not None:
                raise
            self._busy(error, options, busy_text(error, handle.wait, "--lock-wait"))
            return None
        except LockUnavailable as error:
            if self.held is not None:
                raise
            raise CommandError(str(error), returncode=UNAVAILABLE) from error
        finally:
            self.held = None

    def _names(self, options: Mapping[str, Any]) -> list[str]:
        try:
            names = self.get_lock_name(options)
        except UnusableName as error:
            raise CommandError(str(error)) from error
        if not isinstance(names, Iterable):
            raise TypeError(f"get_lock_name() returns a name or a list of them, not {names!r}.")
        return [names] if isinstance(names, str) else list(names)

    def _handle(self, names: list[str], wait: Duration | None) -> Lock | MultiLock:
        what = f"manage.py {self._command_name()}"
        try:
            return lock(
                names[0] if len(names) == 1 else names, what=what, wait=wait, **self.lock_options
            )
        except InvalidName as error:
            raise CommandError(str(error)) from error

    def _busy(self, error: LockNotAcquired, options: Mapping[str, Any], text: str) -> None:
        quiet = self.busy_quiet or options.get("verbosity", 1) == 0
        if self.busy_exit_code == 0:
            if not quiet:
                given = options.get("stdout")
                (OutputWrapper(given) if given else self.stdout).write(str(error))
            return
        if quiet and getattr(self, "_called_from_command_line", False):
            sys.exit(self.busy_exit_code)
        raise CommandError(text, returncode=self.busy_exit_code) from error

    def _command_name(self) -> str:
        return self._subcommand or type(self).__module__.rpartition(".")[2]


def seconds_option(text: str, check: Callable[[float, str], object] = wait_seconds) -> float:
    """Read a time from the command line, such as 90, 90s, 10m or ``inf``, as seconds."""
    number = text.strip()
    unit = UNITS.get(number[-1:], 0)
    try:
        value = float(number[:-1]) * unit if unit else float(number)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time such as 90, 90s, 10m, 2h or 1d"
        ) from None
    try:
        check(value, "it")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return value


def seconds_of(time: Duration | str, flag: str) -> float:
    """Return the value of an option in seconds; ``call_command`` may pass any duration."""
    try:
        return seconds_option(time) if isinstance(time, str) else wait_seconds(time, flag)
    except argparse.ArgumentTypeError as error:
        raise CommandError(f"{flag}: {error}", returncode=2) from None
    except ValueError as error:
        raise CommandError(str(error), returncode=2) from None


def busy_text(error: LockNotAcquired, wait: Duration, flag: str) -> str:
    """Say that the lock is busy, and how to wait for it if the command did not.

    Like the error it belongs to, this is in English.
    """
    return str(error) if wait else f"{error} Write {flag} 30 to wait for it."
