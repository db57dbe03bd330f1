"""Summary line above the list: each figure in words, with a link to the rows behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.translation import gettext as _, ngettext

from ..operations.formatting import duration
from ..operations.summary import Summary
from .query import Query

__all__ = ["Answer", "answers"]


@dataclass(frozen=True)
class Answer:
    """One part of the summary line. It links to the page ``url_name`` with this ``query``."""

    text: str
    query: str = ""
    url_name: str = "admin:django_redislock_lock_changelist"
    is_bad: bool = False


def answers(summary: Summary | None) -> list[Answer]:
    """Return the parts of the summary line; none if no backend answers."""
    return list(_answers(summary)) if summary else []


def _answers(summary: Summary) -> Iterator[Answer]:
    # "At least 0" would be no information.
    if summary.held or summary.has_all:
        held = ngettext("%(count)s lock held", "%(count)s locks held", summary.held)
        yield Answer(held % {"count": _number(summary.held, exact=summary.has_all)})
    if summary.waited or summary.has_all:
        yield Answer(_waited(summary), str(Query(state="waited", order="-waiters")))
    if summary.overdue is not None:
        overdue = _("%(count)s past MAX_HOLD")
        count = _number(summary.overdue, exact=summary.is_whole)
        state = str(Query(state="overdue"))
        yield Answer(overdue % {"count": count}, state, is_bad=summary.overdue > 0)
    if summary.silent is not None:
        silent = _("%(count)s lost contact")
        count = _number(summary.silent, exact=summary.is_whole)
        state = str(Query(state="silent"))
        yield Answer(silent % {"count": count}, state, is_bad=summary.silent > 0)
    if summary.rate is not None:
        rate = number_format(summary.rate, decimal_pos=0 if summary.rate >= 10 else 1)
        text = _("%(rate)s acquired per second") % {"rate": rate}
        yield Answer(text, url_name="admin:django_redislock_lock_hot")
    yield Answer(_("Sort by urgency"), str(Query(order="attention")))


def _waited(summary: Summary) -> str:
    text = ngettext("%(count)s with waiters", "%(count)s with waiters", summary.waited)
    text %= {"count": _number(summary.waited, exact=summary.has_all)}
    if not summary.waited or summary.longest_wait is None:
        return text
    longest = _at_least(duration(summary.longest_wait), exact=summary.has_all_waits)
    return _("%(waited)s, longest wait %(duration)s") % {"waited": text, "duration": longest}


def _number(count: int, *, exact: bool) -> str:
    return _at_least(number_format(count), exact=exact)


def _at_least(number: str, *, exact: bool) -> str:
    return number if exact else _("at least %(number)s") % {"number": number}
