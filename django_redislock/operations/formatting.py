"""Formatting of live holds as text, for the admin pages and the terminal."""

from __future__ import annotations

import json

from django.utils.formats import get_format, number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _, gettext_lazy, ngettext

from ..backends.base import SHARED, Hold, Holder
from ..exceptions import readable
from .selection import Found
from .states import TROUBLE, has_ended, state_of

__all__ = [
    "STATE_NAMES",
    "Line",
    "and_more",
    "brief",
    "duration",
    "formats",
    "limit_of",
    "place_of",
    "quoted",
    "who",
]

STATE_NAMES = {
    "held": gettext_lazy("held"),
    "renewing": gettext_lazy("renewing"),
    "overdue": gettext_lazy("past MAX_HOLD"),
    "silent": gettext_lazy("lost contact"),
    "detached": gettext_lazy("detached"),
    "damaged": gettext_lazy("damaged"),
    "waited": gettext_lazy("with waiters"),
    "gone": gettext_lazy("process has ended"),
    "orphaned": gettext_lazy("orphaned"),
}

MINUTE, HOUR, DAY = 60, 3600, 86400


class Line:
    """A hold as text. It leaves out the token, because anyone who knows it can release the lock.

    Fields of a damaged hold that cannot be read are empty. ``ended`` is set if the hold needs its
    process and that process is known on this host to have ended.
    """

    def __init__(self, found: Found) -> None:
        hold, state = found.hold, state_of(found.hold)
        known = not hold.damaged
        self.alias = found.alias
        self.name = readable(hold.name)
        self.state = str(STATE_NAMES[state])
        self.ended = str(STATE_NAMES["gone"]) if has_ended(hold) else ""
        self.in_trouble = state in TROUBLE or bool(self.ended)
        self.remaining = duration(hold.remaining)
        self.lease = duration(hold.term or hold.lease) if known else ""
        self.what = readable(hold.holder.what) if known else _("not readable")
        self.label = readable(hold.holder.label)
        self.place = place_of(hold.holder)
        self.waiters = hold.waiters
        self.longest_wait = duration(hold.longest_wait) if hold.waiters else ""
        self.fence = str(hold.fence) if known else ""
        self.limit = occupancy_of(hold) if known else ""
        self.since = localtime(hold.since) if known else None
        self.held_for = duration(hold.age) if known else ""

    @property
    def who(self) -> str:
        """What the holder runs, and the label."""
        return ", ".join(part for part in (self.what, self.label) if part)

    @property
    def holder(self) -> str:
        """The whole holder in one line."""
        return ", ".join(part for part in (self.who, self.place) if part)


def duration(seconds: float) -> str:
    """Format a length of time in at most two units. A negative one, from clock skew, becomes 0."""
    if seconds < MINUTE:
        return _("%(seconds)s s") % {"seconds": number_format(max(seconds, 0.0), decimal_pos=1)}
    whole = int(seconds)
    if seconds < HOUR:
        units = [(whole // MINUTE, "%(count)d min"), (whole % MINUTE, "%(count)d s")]
    elif seconds < DAY:
        units = [(whole // HOUR, "%(count)d h"), (whole % HOUR // MINUTE, "%(count)d min")]
    else:
        units = [(whole // DAY, "%(count)d d"), (whole % DAY // HOUR, "%(count)d h")]
    return " ".join(_(text) % {"count": count} for count, text in units if count)


def brief(seconds: float) -> str:
    """Format a length of time that may be much shorter than a second."""
    if seconds >= 1:
        return duration(seconds)
    milliseconds = round(seconds * 1000)
    return _("%(count)d ms") % {"count": milliseconds} if milliseconds else _("< 1 ms")


def formats() -> str:
    """Return, as JSON, the texts with which the pages' script formats durations itself."""
    return json.dumps(
        {
            "point": get_format("DECIMAL_SEPARATOR"),
            "seconds": _("%(seconds)s s"),
            "s": _("%(count)d s"),
            "min": _("%(count)d min"),
            "h": _("%(count)d h"),
            "d": _("%(count)d d"),
        }
    )


def quoted(name: str) -> str:
    """Put a name in the quotation marks of the language."""
    return _("“%(name)s”") % {"name": name}


def and_more(count: int) -> str:
    """Return the end of a list that lacks ``count`` items; empty if it is complete."""
    if count <= 0:
        return ""
    return ngettext("and %(count)d more", "and %(count)d more", count) % {"count": count}


def place_of(holder: Holder) -> str:
    """Return the host, process and thread of the holder; empty if they are unknown."""
    if not (holder.host or holder.pid or holder.thread):
        return ""
    return _("%(host)s, pid %(pid)s, %(thread)s") % {
        "host": readable(holder.host),
        "pid": readable(holder.pid),
        "thread": readable(holder.thread),
    }


def occupancy_of(hold: Hold) -> str:
    """Return how many holders the name has, and how many it may have."""
    if hold.shared:
        return _("shared, %(held)d held") % {"held": hold.held}
    if hold.limit == 1:
        return "1"
    return _("%(held)d of %(limit)d held") % {"held": hold.held, "limit": hold.limit}


def limit_of(limit: int) -> str:
    return _("shared") if limit == SHARED else str(limit)


def who(holder: Holder) -> str:
    """Describe a holder or a waiter in one line."""
    parts = (readable(holder.what), readable(holder.label), place_of(holder))
    return ", ".join(part for part in parts if part) or _("unknown")
