from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import chain, islice
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.timezone import localtime
from django.utils.translation import gettext as _, gettext_lazy

from ...clock import monotonic, utc_now
from ...commands import seconds_of, seconds_option
from ...operations.asking import Silent
from ...operations.formatting import Line
from ...operations.selection import Found, Search, Selection, ranks
from ...operations.serializers import as_csv, as_json, as_jsonl
from ...operations.waits import waits_of
from ...operations.waits_tree import branches, circle_in_words, left_out_of
from ..changes import CHANGED, NEW, Changes
from ..selectors import (
    NOT_FOUND,
    add_selectors,
    chosen_aliases,
    chosen_criteria,
    complain,
    reasons,
    whole_number,
)
from ..table import Table, cut, lines_of
from ..terminal import (
    TerminalCommand,
    can_write_all,
    encoding_of,
    height_of,
    until_closed,
    width_of,
)

# Each redraw overwrites the previous one, since clearing the whole screen first would flicker.
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"

FORMATS: dict[str, Callable[[Iterable[Found]], Iterator[str]]] = {
    "json": as_json,
    "jsonl": as_jsonl,
    "csv": as_csv,
}

# Lines of a watch in addition to the locks and the backends that do not answer: the time, an empty
# line, the table's heading, the number of locks, and the line of the cursor.
BESIDE = 5

# The indent of the heading, above the marks of a watch.
MARK = "  "

# Up to this many locks are sorted; more are written in the order in which they are found.
FEW = 1000

# The shortest and the longest interval of a watch (seconds). No platform can sleep for centuries.
SHORTEST, LONGEST = 0.1, 86400.0

# How many lines are written at once.
LINES = 1000

NOT_LISTED = gettext_lazy("The locks of these backends are not listed.")


class Command(TerminalCommand):
    help = "List the live locks: who holds what, and for how long."

    def add_arguments(self, parser: CommandParser) -> None:
        add_selectors(parser)
        parser.add_argument(
            "--max",
            type=whole_number,
            metavar="N",
            help="list at most N locks, those whose leases end first; 0: all, unsorted if there "
            "are more than 1000. Default: 100",
        )
        parser.add_argument(
            "--format",
            choices=["table", *FORMATS],
            default="table",
            help="table for people (the default); the others are for programs, with all fields "
            "and the first 8 characters of the token",
        )
        parser.add_argument(
            "--waits",
            action="store_true",
            help="show who waits for whom instead, as a tree, with the deadlocks first; can only "
            "be combined with --using",
        )
        parser.add_argument(
            "--watch",
            nargs="?",
            type=seconds_option,
            const=2.0,
            metavar="TIME",
            help="list again every 2 seconds, or at this interval, until Ctrl-C",
        )

    def handle(self, **options: Any) -> None:
        can_write_all(self.stdout)
        self._aliases = chosen_aliases(options["using"])
        self._criteria = chosen_criteria(options)
        most = 100 if options["max"] is None else options["max"]
        self._most = self._max = whole_number(str(most))
        self._format = options["format"]
        every = options["watch"]
        if options["waits"]:
            others = every is not None, options["max"] is not None, self._format != "table"
            if any(others) or self._criteria:
                text = _("--waits can only be combined with --using.")
                raise CommandError(text, returncode=2)
        if every is not None and self._format not in ("table", "jsonl"):
            raise CommandError(_("--watch works only with --format table or jsonl."), returncode=2)
        with until_closed(self.stdout):
            if options["waits"]:
                self._list_waits()
            elif every is not None:
                self._watch(min(max(seconds_of(every, "--watch"), SHORTEST), LONGEST))
            else:
                silent = self._list(self._look()) if self._most > 0 else self._list_all()
                self._complain(silent)

    def _look(self) -> Selection:
        if self._most > 0 and not self._criteria:
            selection = ranks(self._aliases, 0, self._most)
            if selection.total <= self._most:
                # The index also has holds that have ended since.
                selection.total = len(selection.found)
            return selection
        search = Search(self._aliases, self._criteria)
        # Even if a million match, no more than the shown holds are kept in memory.
        found = (
            nsmallest(self._most, search, self._order)
            if self._most > 0
            else sorted(search, key=self._order)
        )
        return Selection(found, search.matched, search.silent)

    def _order(self, one: Found) -> tuple[int, float]:
        """Sort by backend, and within a backend by the end of the lease, soonest first."""
        return self._aliases.index(one.alias), one.hold.remaining

    def _list_all(self) -> list[Silent]:
        """List all matches: sorted if they are few, otherwise in the order they are found in."""
        search = Search(self._aliases, self._criteria)
        found = iter(search)
        first = list(islice(found, FEW + 1))
        if len(first) <= FEW:
            first.sort(key=self._order)
            return self._list(Selection(first, len(first), search.silent))
        if self._format == "table":
            several = len(search.aliases) > 1
            sample = list(map(Line, first))
            width = width_of(self.stdout)
            encoding = encoding_of(self.stdout)
            form = Table(sample, width, self.style, encoding, with_alias=several)
            self._write_all(form.lines(chain(sample, map(Line, found))))
        else:
            self._write_all(FORMATS[self._format](chain(first, found)))
        return search.silent

    def _list_waits(self) -> None:
        waits = waits_of(self._aliases)
        for circle in waits.circles:
            steps = "; ".join(circle_in_words(circle))
            self.stdout.write(self.style.ERROR(f"{_('Deadlock')}: {steps}"))
        self._write_all("  " * branch.depth + branch.in_words for branch in branches(waits))
        if not waits.queues and not waits.silent:
            self.stdout.write(_("There are no waiters at the moment."))
        if left_out := left_out_of(waits):
            self.stdout.write(left_out)
        self._complain(waits.silent)

    def _complain(self, silent: Sequence[Silent]) -> None:
        partly = all(one.partly for one in silent)
        complain(silent, NOT_FOUND if partly else NOT_LISTED)

    def _watch(self, every: float) -> None:
        changes = Changes()
        try:
            while True:
                height, width = height_of(self.stdout), width_of(self.stdout)
                # A longer output would scroll its first lines out of sight.
                room = max(1, (height or 0) - BESIDE)
                if height:
                    self._most = min(self._max or room, room)
                began = monotonic()
                selection = self._look()
                if width:
                    encoding = encoding_of(self.stdout)
                    below = reasons(selection.silent)
                    room -= sum(lines_of(reason, width, encoding) for reason in below)
                    selection.found = selection.found[: max(1, room)]
                if self._format == "jsonl":
                    for reason in reasons(self._list(selection)):
                        self.stderr.write(reason)
                else:
                    self._redraw(selection, changes.marks(selection.found, began))
                self.stdout.flush()
                time.sleep(every)
        except KeyboardInterrupt:
            return

    def _redraw(self, selection: Selection, marks: Sequence[str]) -> None:
        heading = _("%(time)s; + is new, * has changed; press Ctrl-C to stop") % {
            "time": localtime(utc_now()).strftime("%H:%M:%S")
        }
        heading = self._cut(heading)
        lines = [heading, "", *self._lines(selection, marks), *reasons(selection.silent)]
        if self.stdout.isatty():
            self.stdout.write(
                HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in lines) + CLEAR_BELOW, ending=""
            )
        else:
            self.stdout.write("\n".join([*lines, ""]))

    def _list(self, selection: Selection) -> list[Silent]:
        if self._format == "table":
            self._write_all(self._lines(selection))
        else:
            self._write_all(FORMATS[self._format](selection.found))
        return selection.silent

    def _write_all(self, lines: Iterable[str]) -> None:
        lines = iter(lines)
        while some := list(islice(lines, LINES)):
            self.stdout.write("\n".join(some))

    def _lines(self, selection: Selection, marks: Sequence[str] = ()) -> list[str]:
        found = selection.found
        if found:
            lines = self._table(list(map(Line, found)), marks)
            if len(found) < selection.total:
                text = _("%(shown)d of %(total)d locks; --max 0 lists all.")
                if self._most != self._max:
                    text = _("%(shown)d of %(total)d locks; there is no room for more.")
                text %= {"shown": len(found), "total": selection.total}
                lines.append(self._cut(text))
            return lines
        if selection.silent:
            return []
        return [_("No live lock matches.") if self._criteria else _("No lock is held.")]

    def _cut(self, text: str) -> str:
        return cut(text, width_of(self.stdout), encoding_of(self.stdout))

    def _table(self, held: list[Line], marks: Sequence[str]) -> list[str]:
        width, encoding = width_of(self.stdout), encoding_of(self.stdout)
        if not marks:
            return list(Table(held, width, self.style, encoding).lines(held))
        form = Table(held, width and max(1, width - len(MARK)), self.style, encoding)
        roles = {NEW: self.style.SUCCESS, CHANGED: self.style.WARNING}
        coloured = [roles[mark](mark) if mark in roles else mark for mark in marks]
        lines = [f"{mark} {form.line(line)}" for mark, line in zip(coloured, held, strict=True)]
        return [f"{MARK}{form.heading}", *lines]
