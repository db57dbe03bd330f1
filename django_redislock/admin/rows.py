"""A hold as the pages show it: in words, with what their script and forms need."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote as urlquote

from django.contrib.admin.utils import quote
from django.utils.formats import date_format
from django.utils.html import escape, format_html
from django.utils.translation import gettext as _, gettext_lazy

from ..local.hold import pause_of
from ..operations.formatting import Line, duration
from ..operations.liveness import runs
from ..operations.states import Found, kind_of, state_of
from .references import Reference, address_of

__all__ = ["KIND_NAMES", "MissingRow", "Row", "counting", "for_whom", "rows_of"]

# What may stand in the path of an address as it is.
UNQUOTED = "/~:@!$&'()*+,;="

DOTTED_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*){2,}")

KIND_NAMES = {
    "mutex": gettext_lazy("mutex"),
    "semaphore": gettext_lazy("semaphore"),
    "shared": gettext_lazy("read lock"),
}


class Row:
    """One line of a table. What is in words is made here: a hundred rows are quicker so than by
    the tags of a template.
    """

    missing = ""

    def __init__(self, found: Found) -> None:
        hold = found.hold
        self.hold = hold
        self.line = line = Line.of(found)
        self.of_lease = _("of %(lease)s") % {"lease": line.lease} if line.lease else ""
        self.select = _("Select %(name)s") % {"name": line.name}
        self.leading, self.what = _split(line.what)
        self.for_whom = for_whom(line.label)
        self.since, self.since_briefly = _in_full_and_briefly(line.since)
        self.kind = KIND_NAMES.get(kind_of(hold), "")
        self.reference = Reference.to(found.alias, hold)
        self.value = escape(self.reference)
        # As ``reverse()`` would write it, which takes too long for a hundred rows.
        self.address = urlquote(quote(address_of(found.alias, hold.name)), safe=UNQUOTED)
        self.token = f"{hold.token[:8]}…"
        # For the script, which writes numbers in its own way.
        self.remaining = f"{max(hold.remaining, 0.0):.2f}"
        self.lease = f"{hold.term or hold.lease:.2f}"
        self.held_for = counting(hold.age) if line.since else ""
        self.state = state_of(found)
        self.longest_wait = format_html(
            _("longest {duration}"), duration=_ticking(hold.longest_wait)
        )

    @property
    def needs_attention(self) -> bool:
        """Whether somebody waits for it, or nothing but its lease may hold it any more."""
        return self.line.in_trouble or self.hold.waiters > 0

    @property
    def runs(self) -> bool | None:
        """Whether the holder's process runs, as far as this host can tell."""
        return runs(self.hold.holder)

    @property
    def told_within(self) -> str:
        """How soon the holder hears of a release by force, if its process does not listen; empty
        where that is not known.
        """
        if self.hold.damaged:
            return ""
        return duration(pause_of(self.hold.lease))


@dataclass(frozen=True)
class MissingRow:
    """A line that a page shows, of a hold that is not there any more. ``missing`` says why.

    ``is_unknown``: its backend does not answer, and it may well be there.
    """

    reference: Reference
    missing: str
    is_unknown: bool = False


def rows_of(found: Iterable[Found]) -> list[Row]:
    return [Row(one) for one in found]


def _in_full_and_briefly(since: datetime | None) -> tuple[str, str]:
    if since is None:
        return "", ""
    full = f"{date_format(since, 'SHORT_DATE_FORMAT')} {since:%H:%M:%S}"
    today = since.date() == datetime.now(since.tzinfo).date()
    return full, f"{since:%H:%M:%S}" if today else full


def _split(what: str) -> tuple[str, str]:
    """The last two names of a dotted path and what leads to them, for which a list may be too
    narrow; of anything else nothing leads.
    """
    if not DOTTED_PATH.fullmatch(what):
        return "", what
    leading, module, name = what.rsplit(".", 2)
    return f"{leading}.", f"{module}.{name}"


def for_whom(label: str) -> str:
    """The user, where one is known."""
    return format_html(_("for {whom}"), whom=format_html("<bdi>{}</bdi>", label)) if label else ""


def counting(seconds: float) -> str:
    """For how long something has gone on; the script of the page counts further."""
    return format_html(_("for {duration}"), duration=_ticking(seconds))


def _ticking(seconds: float) -> str:
    return format_html('<bdi data-elapsed="{}">{}</bdi>', f"{seconds:.2f}", duration(seconds))
