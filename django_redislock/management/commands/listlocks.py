from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import localtime, now
from django.utils.translation import gettext as _

from ...operations.criteria import Criteria
from ...operations.selection import Search, Selection, ranks
from ..formats import as_csv, as_json, as_jsonl
from ..selectors import (
    add_selectors,
    chosen_aliases,
    chosen_criteria,
    complain,
    length_of_time,
    reasons,
)
from ..table import table, width_of

# To the upper left, and nothing below: what was there is written over, so that nothing flickers.
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


class Command(BaseCommand):
    help = "List the live locks: who holds what, and for how long."
    # What is wrong with the project must not keep anybody from looking at its locks.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_selectors(parser)
        parser.add_argument(
            "--max",
            type=int,
            default=100,
            metavar="N",
            help="list N locks at the most, those whose lease ends first; 0: all. Default: 100",
        )
        parser.add_argument(
            "--format",
            choices=["table", "json", "jsonl", "csv"],
            default="table",
            help="for people (the default), or for programs: with all fields but the token",
        )
        parser.add_argument(
            "--watch",
            nargs="?",
            type=length_of_time,
            const=2.0,
            metavar="TIME",
            help="list them again every 2 seconds, or as often as this says, until Ctrl-C",
        )

    def handle(self, **options: Any) -> None:
        self._aliases = chosen_aliases(options["using"])
        self._criteria = chosen_criteria(options)
        self._most = options["max"]
        self._format = options["format"]
        every = options["watch"]
        if every is None:
            silent = self._list(self._look())
            complain(silent, _("The locks of what did not answer are not listed."))
        elif self._format not in ("table", "jsonl"):
            raise CommandError(_("--watch goes with --format table or jsonl."), returncode=2)
        else:
            self._watch(float(every))

    def _look(self) -> Selection:
        if self._most > 0 and not self._criteria:
            return ranks(self._aliases, 0, self._most)
        search = Search(self._aliases, self._criteria)
        found = list(search)
        # A hold may have been renewed while others were looked at.
        found.sort(key=lambda one: (self._aliases.index(one.alias), one.hold.remaining))
        shown = found[: self._most] if self._most > 0 else found
        return Selection(shown, len(found), search.silent)

    def _watch(self, every: float) -> None:
        try:
            while True:
                selection = self._look()
                if self._format == "jsonl":
                    self._list(selection)
                else:
                    self._redraw(selection)
                self.stdout.flush()
                time.sleep(max(every, 0.1))
        except KeyboardInterrupt:
            return

    def _redraw(self, selection: Selection) -> None:
        heading = _("%(time)s, every time anew; Ctrl-C ends it") % {
            "time": localtime(now()).strftime("%H:%M:%S")
        }
        lines = [heading, "", *self._lines(selection), *reasons(selection.silent)]
        if self.stdout.isatty():
            self.stdout.write(
                HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in lines) + CLEAR_BELOW, ending=""
            )
        else:
            self.stdout.write("\n".join([*lines, ""]))

    def _list(self, selection: Selection) -> list[Any]:
        if self._format == "json":
            self.stdout.write(as_json(selection.found))
        elif self._format == "csv":
            self.stdout.write(as_csv(selection.found))
        elif self._format == "jsonl":
            self._write_all(as_jsonl(selection.found))
        else:
            self._write_all(self._lines(selection))
        return selection.silent

    def _write_all(self, lines: Iterable[str]) -> None:
        lines = iter(lines)
        while some := list(islice(lines, 1000)):
            self.stdout.write("\n".join(some))

    def _lines(self, selection: Selection) -> list[str]:
        found = selection.found
        if found:
            lines = table(found, width_of(self.stdout))
            if len(found) < selection.total:
                text = _("%(shown)d of %(total)d locks; --max 0 lists all.")
                lines.append(text % {"shown": len(found), "total": selection.total})
            return lines
        if selection.silent:
            return []
        searched = self._criteria != Criteria()
        return [_("No live lock matches.") if searched else _("No lock is held.")]
