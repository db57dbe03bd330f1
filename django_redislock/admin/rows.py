"""Rows of the admin pages: a hold as text, with the values that scripts and forms need."""

from __future__ import annotations

import re
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
from ..operations.selection import Found
from ..operations.states import kind_of, state_of
from .references import Reference, address_of

__all__ = ["KIND_NAMES", "MissingRow", "Row", "counting", "for_whom"]

# Characters that need no quoting in the path of a URL.
UNQUOTED = "/~:@!$&'()*+,;="

DOTTED_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*){2,}")

KIND_NAMES = {
    "mutex": gettext_lazy("mutex"),
    "semaphore": gettext_lazy("semaphore"),
    "shared": gettext_lazy("read lock"),
}


class Row:
    """One row of a table. Its texts are formatted here, which is faster for a hundred rows than
    template tags.
    """

    missing = ""

    def __init__(self, found: Found) -> None:
        hold = found.hold
        self.hold = hold
        self.line = line = Line(found)
        self.of_lease = _("of %(lease)s") % {"lease": line.lease} if line.lease else ""
        self.select = _("Select %(name)s") % {"name": line.name}
        self.leading, self.what = _split(line.what)
        self.for_whom = for_whom(line.label)
        self.since, self.since_briefly = _in_full_and_briefly(line.since)
        self.kind = KIND_NAMES.get(kind_of(hold), "")
        self.reference = Reference.to(found)
        self.value = escape(self.reference)
        # The same as from ``reverse()``, which is too slow for a hundred rows.
        self.address = urlquote(quote(address_of(found.alias, hold.name)), safe=UNQUOTED)
        self.token = f"{hold.token[:8]}…"
        # Not localized: the page's script parses and formats these.
        self.remaining = f"{max(hold.remaining, 0.0):.2f}"
        self.lease = f"{hold.term or hold.lease:.2f}"
        self.held_for = counting(hold.age) if line.since else ""
        self.state = state_of(hold)
        self.longest_wait = format_html(
            _("longest {duration}"), duration=_ticking(hold.longest_wait)
        )

    @property
    def needs_attention(self) -> bool:
        """Whether the hold has waiters or is in trouble."""
        return self.line.in_trouble or self.hold.waiters > 0

    @property
    def runs(self) -> bool | None:
        """Whether the holder's process runs; None if this host cannot know."""
        return runs(self.hold.holder)

    @property
    def noticed_within(self) -> str:
        """How soon the holder notices a release by force if its process is not listening; empty if
        that is unknown, or if its process has ended.
        """
        hold = self.hold
        if hold.damaged or self.line.ended:
            return ""
        if hold.detached or hold.holder.renews_for == 0:
            return duration(hold.remaining)  # it is not renewed, so only the end of its lease shows
        return duration(pause_of(hold.lease))


@dataclass(frozen=True)
class MissingRow:
    """A row of a page whose hold was not found. ``missing`` says why.

    ``is_unknown``: its backend does not answer, so the hold may still exist.
    """

    reference: Reference
    missing: str
    is_unknown: bool = False


def _in_full_and_briefly(since: datetime | None) -> tuple[str, str]:
    if since is None:
        return "", ""
    full = f"{date_format(since, 'SHORT_DATE_FORMAT')} {since:%H:%M:%S}"
    today = since.date() == datetime.now(since.tzinfo).date()
    return full, f"{since:%H:%M:%S}" if today else full


def _split(what: str) -> tuple[str, str]:
    """Split a dotted path before its last two names; a narrow list may hide the first part.

    The first part is empty for any other text.
    """
    if not DOTTED_PATH.fullmatch(what):
        return "", what
    leading, module, name = what.rsplit(".", 2)
    return f"{leading}.", f"{module}.{name}"


def for_whom(label: str) -> str:
    """Format the label, if there is one."""
    return format_html(_("for {whom}"), whom=format_html("<bdi>{}</bdi>", label)) if label else ""


def counting(seconds: float) -> str:
    """Format how long something has lasted; the page's script keeps counting."""
    return format_html(_("for {duration}"), duration=_ticking(seconds))


def _ticking(seconds: float) -> str:
    return format_html('<bdi data-elapsed="{}">{}</bdi>', f"{seconds:.2f}", duration(seconds))
