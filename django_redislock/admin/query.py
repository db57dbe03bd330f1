"""Query of the list, read from and written to its URL, and headings that link to others."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, SEARCH_VAR
from django.http import QueryDict
from django.utils.http import urlencode

from ..names import LONGEST_NAME
from ..operations.filters import Criteria, is_glob
from ..operations.states import KINDS, STATES

__all__ = ["ORDERS", "Heading", "Query", "number"]

ORDERS = ("ttl", "-ttl", "waiters", "-waiters", "age", "-age", "attention")

# The names that fields of a query have in a URL.
VARS = {
    "backend": "backend",
    "text": SEARCH_VAR,
    "state": "state",
    "kind": "kind",
    "host": "host",
    "order": ORDER_VAR,
    "start": "from",
    "page": PAGE_VAR,
}

# No name is longer (characters), and the time to match a pattern grows with its length squared.
LONGEST_TEXT = LONGEST_NAME


@dataclass(frozen=True)
class Query:
    """The parameters of the list. Invalid values are ignored."""

    backend: str = ""
    text: str = ""
    state: str = ""
    kind: str = ""
    host: str = ""
    order: str = "ttl"
    start: int = 0
    page: int = 1

    @classmethod
    def read(cls, params: QueryDict, aliases: list[str]) -> Query:
        given = {field: params.get(var, "") for field, var in VARS.items()}

        def one_of(field: str, known: Any, default: str = "") -> str:
            return given[field] if given[field] in known else default

        return cls(
            backend=one_of("backend", aliases),
            text=given["text"].strip()[:LONGEST_TEXT],
            state=one_of("state", STATES),
            kind=one_of("kind", KINDS),
            host=given["host"][:LONGEST_TEXT],
            order=one_of("order", ORDERS, "ttl"),
            start=number(given["start"], least=0),
            page=number(given["page"], least=1),
        )

    @property
    def criteria(self) -> Criteria:
        return Criteria(
            text=self.text,
            host=_literally(self.host),
            kind=self.kind,
            states=(self.state,) if self.state else (),
        )

    @property
    def exact(self) -> str:
        """The text if it could be an exact name, which is also looked up directly; else empty."""
        return "" if is_glob(self.text) else self.text

    @property
    def by_rank(self) -> bool:
        """Whether the index alone has the answer, and only one page of it must be read."""
        return not self.criteria and self.order in ("ttl", "-ttl")

    @property
    def by_index(self) -> bool:
        """Whether the index alone determines the rows and their order."""
        return self.criteria.by_name_alone and self.order in ("ttl", "-ttl")

    @property
    def narrowed(self) -> bool:
        return bool(self.criteria) or bool(self.backend)

    def but(self, **changes: Any) -> Query:
        """Return a copy with these changes, back at the first page."""
        return replace(self, **{"page": 1, "start": 0, **changes})

    def params(self) -> dict[str, Any]:
        plain = Query()
        return {
            VARS[field.name]: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != getattr(plain, field.name)
        }

    def __str__(self) -> str:
        return f"?{urlencode(self.params())}"


class Heading(NamedTuple):
    """The heading of a column. ``sorted`` is its ``aria-sort``; empty if it cannot be sorted."""

    column: str
    text: str
    link: str = ""
    sorted: str = ""


def number(text: str | None, *, least: int) -> int:
    """Return the number in a URL or a form, at least ``least``; ``least`` if it is invalid."""
    try:
        return max(int(text or least), least)
    except ValueError:
        return least


def _literally(text: str) -> str:
    """Return a glob that matches only this text."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)
