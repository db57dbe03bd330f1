"""Filters beside the list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from ..exceptions import readable
from ..operations.formatting import STATE_NAMES
from ..operations.selection import Found
from .query import Query
from .rows import KIND_NAMES

__all__ = ["Choices", "choices_of"]

# A project may run on many hosts. A short list of those on this page is more useful than all.
MOST_HOSTS = 20


@dataclass(frozen=True)
class Choices:
    """The interface of a ``ListFilter`` that the filter tags of Django and other themes use: the
    name of its parameter in a URL, a title and choices.
    """

    query: Query
    parameter_name: str
    title: str
    values: Sequence[tuple[str, str | Promise]]
    template = "admin/filter.html"

    def choices(self, live: object) -> Iterator[dict[str, Any]]:
        present = getattr(self.query, self.parameter_name)
        for value, name in [("", _("All")), *self.values]:
            yield {
                "selected": value == present,
                "query_string": str(self.query.but(**{self.parameter_name: value})),
                "display": name,
            }


def choices_of(query: Query, aliases: Sequence[str], found: Iterable[Found]) -> list[Choices]:
    hosts = {str(one.hold.holder.host) for one in found} - {""}
    shown = sorted(hosts | {query.host} - {""})[:MOST_HOSTS]
    choices = [
        Choices(query, "state", _("state"), list(STATE_NAMES.items())),
        Choices(query, "kind", _("kind"), list(KIND_NAMES.items())),
    ]
    if len(aliases) > 1:
        backends = [(alias, alias) for alias in aliases]
        choices.insert(0, Choices(query, "backend", _("backend"), backends))
    if shown:
        hosts_shown = [(host, readable(host)) for host in shown]
        choices.append(Choices(query, "host", _("host on this page"), hosts_shown))
    return choices
