from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from typing import Any, NoReturn

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _, ngettext

from ...operations.audit import log_clearlocks_run, operator
from ...operations.filters import Criteria
from ...operations.formatting import Line, and_more, quoted
from ...operations.selection import Listed, Search, look_up
from ..progress import Progress
from ..selectors import (
    NOT_FOUND,
    add_selectors,
    chosen_aliases,
    chosen_criteria,
    complain,
    reasons,
    said,
)
from ..stopping import exit_code_of, stopped_by_signals
from ..table import Table
from ..targets import Targets
from ..terminal import TerminalCommand, can_write_all, encoding_of, until_closed, width_of, written

# How many locks are listed; a longer list would not be read before answering yes.
SHOWN = 100

# How many locks are named that could not be released.
NAMED = 10


class Command(TerminalCommand):
    help = (
        "Release live locks by force. Their holders lose them, and the first waiter for each "
        "becomes its holder. Locks that are taken after the command has looked are left alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_selectors(parser)
        parser.add_argument(
            "--all", action="store_true", help="release all live locks, regardless of their names"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="show what would be released, and release nothing",
        )
        parser.add_argument(
            "--noinput",
            "--no-input",
            action="store_false",
            dest="interactive",
            help="do not ask before the locks are released",
        )
        parser.add_argument(
            "--reason",
            default="",
            metavar="TEXT",
            help="the reason, written to the log with the user who released them",
        )

    def handle(self, **options: Any) -> None:
        with stopped_by_signals() if self.is_on_the_command_line else nullcontext():
            self._clear(options)

    def _clear(self, options: Mapping[str, Any]) -> None:
        can_write_all(self.stdout)
        criteria = chosen_criteria(options)
        if options["all"] == bool(criteria):
            raise CommandError(
                _(
                    "Say which locks to release: either --all, or some of --name, --holder, "
                    "--older-than, --state, --waiters and --orphaned."
                ),
                returncode=2,
            )
        self._asks = options["interactive"] and not options["dry_run"]
        # Locks are always shown before the question about them.
        self._verbose = options["verbosity"] > 0 or self._asks
        self._goes_on = not (self._asks or options["dry_run"])
        self._reason = options["reason"]
        self._chosen = said(options)
        try:
            targets = self._look(chosen_aliases(options["using"]), criteria)
        except KeyboardInterrupt as interrupt:
            self._stop(_("No lock was released."), interrupt)
        if not targets:
            self._say(_("No live lock matches; there is nothing to release."))
        elif options["dry_run"]:
            text = ngettext(
                "%(count)d lock would be released.",
                "%(count)d locks would be released.",
                len(targets),
            )
            self._say(text % {"count": len(targets)})
        else:
            if self._asks:
                self._ask(len(targets))
            self._release(targets)
        complain(self._partly, NOT_FOUND)

    def _look(self, aliases: list[str], criteria: Criteria) -> Targets:
        search = Search(aliases, criteria)
        targets = Targets()
        first: list[Listed] = []
        with Progress(self.stderr, _("Looking")) as progress:
            for one in search.listed():
                targets.add(one)
                if len(first) < SHOWN:
                    first.append(one)
                progress.show(search.seen, search.total)
        shown = look_up(first, search.silent) if self._verbose else []
        # The locks of the servers that answer are released, even if others of a backend do not.
        self._partly = [one for one in search.silent if one.partly and targets]
        if len(self._partly) < len(search.silent):
            complain(search.silent, _("No lock was released."))
        if shown:
            lines = list(map(Line, shown))
            width, encoding = width_of(self.stdout), encoding_of(self.stdout)
            self._say("\n".join(Table(lines, width, self.style, encoding).lines(lines)))
            if more := and_more(len(targets) - SHOWN):
                self._say(more)
        if self._asks and self._partly:
            self._say("\n".join([*reasons(self._partly), str(NOT_FOUND)]))
        return targets

    def _say(self, text: str) -> None:
        """Write a text. A release that nobody is asked about goes on if it cannot be written."""
        if not self._verbose:
            return
        kept = written if self._asks else until_closed
        with suppress(CommandError) if self._goes_on else nullcontext(), kept(self.stdout):
            self.stdout.write(text)

    def _ask(self, count: int) -> None:
        question = ngettext(
            "Release this lock by force? Its holder may still be at work.",
            "Release these %(count)d locks by force? Their holders may still be at work.",
            count,
        ) % {"count": count}
        how = _("Type yes to release:")
        try:
            answer = input(f"{question} {how} ")
        # RuntimeError: the standard input is closed. UnicodeDecodeError: it is not a text.
        except (EOFError, RuntimeError, UnicodeDecodeError):
            self.stdout.write("")  # ends the line of the question
            self.stdout.flush()
            raise CommandError(
                _("No answer can be read; use --no-input to release without asking.")
            ) from None
        except KeyboardInterrupt as interrupt:
            self.stdout.write("")
            self._stop(_("No lock was released."), interrupt)
        if answer.strip().lower() != "yes":
            raise CommandError(_("No lock was released."))

    def _release(self, targets: Targets) -> None:
        done = released = 0
        total = len(targets)
        try:
            with Progress(self.stderr, _("Releasing")) as progress:
                for hit in targets.release():
                    done += 1
                    released += hit
                    progress.show(done, total)
        except KeyboardInterrupt as interrupt:
            self._stop(self._left(released, total - done, total), interrupt)
        finally:
            # Also if the count is 0: a release that got no answer may have happened.
            log_clearlocks_run(released, total, self._chosen, operator(), self._reason)
        if targets.failures:
            self._fail(targets, self._left(released, total - done, total))
        self._say(self._released(released))
        if gone := done - released:
            text = ngettext(
                "%(count)d had already ended by itself.",
                "%(count)d had already ended by themselves.",
                gone,
            )
            self._say(text % {"count": gone})

    def _fail(self, targets: Targets, left: str) -> NoReturn:
        names = [name for _error, some in targets.failures for name in some]
        lines = [str(error) for error, _names in targets.failures]
        lines += [left, ", ".join(map(quoted, names[:NAMED]))]
        if more := and_more(len(names) - NAMED):
            lines.append(more)
        lines += reasons(self._partly)
        raise CommandError("\n".join(lines)) from targets.failures[0][0]

    def _released(self, count: int) -> str:
        text = ngettext("%(count)d lock was released.", "%(count)d locks were released.", count)
        return text % {"count": count}

    def _left(self, released: int, count: int, total: int) -> str:
        text = _("%(count)d of %(total)d locks may still be held.")
        return f"{self._released(released)} {text % {'count': count, 'total': total}}"

    def _stop(self, text: str, interrupt: KeyboardInterrupt) -> NoReturn:
        raise CommandError(text, returncode=exit_code_of(interrupt))
