from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from ...commands import BUSY, LOST, UNAVAILABLE, busy_text, seconds_option
from ...conf import (
    DEFAULT_LOCK_ALIAS,
    exit_code,
    lease_seconds,
    max_hold_seconds,
    wait_seconds,
)
from ...exceptions import InvalidLockBackend, LockLost, LockNotAcquired, LockUnavailable
from ...handles import Lock, lock
from ...log import leave_losses_to_the_program
from ..children import CANNOT_BE_RUN, Child
from ..selectors import whole_number
from ..stopping import stopped_by_signals
from ..terminal import TerminalCommand

# The same exit codes as those of shells and flock(1).
WRONG_ARGUMENTS = 2
NOT_FOUND = 127

# Maximum length of the command line that is shown as the holder.
SHOWN = 200

max_hold_check = partial(max_hold_seconds, advice="Write inf to renew it without end.")


class Command(TerminalCommand):
    help = "Run a command while holding a lock, as flock(1) does with a file lock."

    def add_arguments(self, parser: CommandParser) -> None:
        # The usage that argparse makes lacks the --.
        parser.usage = "%(prog)s NAME [options] -- COMMAND ..."
        parser.add_argument("name", metavar="NAME", help="the name of the lock")
        parser.add_argument(
            "command",
            nargs=argparse.PARSER,
            metavar="COMMAND",
            help="the command, after --, and its arguments",
        )
        parser.add_argument(
            "--wait",
            type=seconds_option,
            default=0.0,
            metavar="S",
            help="how long to wait for the lock; inf: for ever. Default: 0",
        )
        parser.add_argument(
            "--lease",
            type=partial(seconds_option, check=lease_seconds),
            metavar="S",
            help="how long the lock outlives a kill -9",
        )
        parser.add_argument(
            "--max-hold",
            type=partial(seconds_option, check=max_hold_check),
            metavar="S",
            help="stop renewing the lock after this long, so that it is lost; inf: never",
        )
        parser.add_argument(
            "--min-hold",
            type=seconds_option,
            default=0.0,
            metavar="S",
            help="hold the lock at least this long, even if the command ends earlier",
        )
        parser.add_argument(
            "--using",
            default=DEFAULT_LOCK_ALIAS,
            metavar="ALIAS",
            help=f"an alias of LOCKS. Default: {DEFAULT_LOCK_ALIAS}",
        )
        parser.add_argument(
            "--limit",
            type=partial(whole_number, least=1),
            default=1,
            metavar="N",
            help="how many may hold it at once. Default: 1",
        )
        parser.add_argument("--shared", action="store_true", help="take it as a read lock")
        parser.add_argument(
            "--label",
            default="",
            metavar="TEXT",
            help="free text shown with the holder, such as a user or a job",
        )
        parser.add_argument(
            "--conflict-exit-code",
            type=exit_code_option,
            default=BUSY,
            metavar="N",
            help=f"the exit code if the lock is busy. Default: {BUSY}",
        )
        parser.add_argument(
            "--on-lost",
            choices=["kill", "warn"],
            default="kill",
            help="what to do with the command when the lock is lost. Default: kill",
        )
        parser.add_argument(
            "--kill-after",
            type=seconds_option,
            default=5.0,
            metavar="S",
            help="if the lock is lost, send SIGKILL this long after SIGTERM. Default: 5",
        )
        parser.add_argument(
            "--on-death",
            choices=["kill", "keep"],
            default="kill",
            help="what happens to the command when this process is killed (Linux). Default: kill",
        )

    def handle(self, *, name: str, command: list[str], **options: Any) -> None:
        command = command[1:] if command[0] == "--" else command
        child = Child(
            _executable(command, name), command, dies_with_us=options["on_death"] == "kill"
        )
        held = self._handle(name, command, child, options)
        self._said: dict[str, object] = {}
        if self.is_on_the_command_line:
            leave_losses_to_the_program()
        code: int | None = None
        try:
            with ExitStack() as stack:
                if self.is_on_the_command_line:
                    # Until the command runs and gets the signals itself.
                    stack.enter_context(stopped_by_signals())
                self._enter(stack, held, options)
                code = child.run(
                    {
                        **os.environ,
                        "REDISLOCK_NAME": name,
                        "REDISLOCK_TOKEN": held.token,
                        "REDISLOCK_FENCE": str(held.fence),
                    }
                )
        except LockLost as error:
            self._say(str(error))
            if code is None or (options["on_lost"] == "kill" and (child.was_ended or not code)):
                code = LOST
        except OSError as error:
            raise CommandError(f"{command[0]}: {error}", returncode=CANNOT_BE_RUN) from error
        if code:
            self._end(code)

    def _handle(self, name: str, command: list[str], child: Child, options: dict[str, Any]) -> Lock:
        def on_lost(held: Lock) -> None:
            # Before the message: writing it may block.
            if options["on_lost"] == "kill":
                child.end(kill_after)
            self._say(str(LockLost.of(name, f"was lost: {held.lost.reason}")))

        what = shlex.join(command)
        try:
            exit_code(options["conflict_exit_code"], "conflict_exit_code")
            kill_after = wait_seconds(options["kill_after"], "kill_after")
            return lock(
                name,
                using=options["using"],
                wait=options["wait"],
                lease=options["lease"],
                max_hold=options["max_hold"],
                min_hold=options["min_hold"],
                limit=options["limit"],
                shared=options["shared"],
                label=options["label"],
                what=what if len(what) <= SHOWN else f"{what[: SHOWN - 1]}…",
                on_lost=on_lost,
            )
        except (InvalidLockBackend, ValueError) as error:
            raise CommandError(str(error), returncode=WRONG_ARGUMENTS) from error

    def _enter(self, stack: ExitStack, held: Lock, options: dict[str, Any]) -> None:
        try:
            stack.enter_context(held)
        except LockNotAcquired as error:
            if options["verbosity"] == 0:
                self._end(options["conflict_exit_code"])
            text = busy_text(error, options["wait"], "--wait")
            raise CommandError(text, returncode=options["conflict_exit_code"]) from error
        except LockUnavailable as error:
            raise CommandError(str(error), returncode=UNAVAILABLE) from error

    def _say(self, message: str) -> None:
        """Write a message, unless this or another thread has already written it.

        A closed stream or a full disk must not change the outcome of the command.
        """
        mark = object()
        if self._said.setdefault(message, mark) is mark:
            with suppress(OSError):
                self.stderr.write(message)

    def _end(self, code: int) -> NoReturn:
        """Exit with this code and without a message; outside a command line, raise instead."""
        if self.is_on_the_command_line:
            sys.exit(code)
        raise CommandError(
            _("The command ended with the exit code %(code)d.") % {"code": code}, returncode=code
        )


def exit_code_option(text: str) -> int:
    """Read an exit code from the command line."""
    try:
        return exit_code(int(text), "an exit code")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 255") from None


def _executable(command: list[str], name: str) -> str:
    """Return the path of the command, or raise ``CommandError``.

    ``name`` is the name of the lock. If it is a program, the name was probably left out.
    """
    found = shutil.which(command[0])
    if found is None:
        is_there = os.sep in command[0] and Path(command[0]).exists()
        if is_there:
            text = _("%(command)s: it cannot be executed")
        elif shutil.which(name) or "--" in command:  # the name is missing, or there are several
            text = _(
                "%(command)s: not found (the lock is '%(name)s': the name comes before the --)"
            )
        elif " " in command[0] or "=" in command[0]:  # a whole command line, or a variable
            text = _("%(command)s: not found (no shell runs the command: write -- sh -c '...')")
        else:
            text = _("%(command)s: not found")
        raise CommandError(
            text % {"command": command[0] or "''", "name": name},
            returncode=CANNOT_BE_RUN if is_there else NOT_FOUND,
        )
    return found
