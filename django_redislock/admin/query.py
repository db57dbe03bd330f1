"""Query of the list, read from and written to its URL, and headings that link to others."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR
from django.http import QueryDict
from django.utils.http import urlencode

from ..names import LONGEST_NAME
from ..operations.filters import Criteria, is_glob
from ..operations.states import KINDS, STATES

__all__ = ["ORDERS", "Heading", "Query", "number"]

ORDERS = ("ttl", "-ttl", "waiters", "-waiters", "age", "-age", "attention")

BACKEND_VAR, STATE_VAR, KIND_VAR, HOST_VAR, ORDER_VAR, START_VAR = (
    "backend", "state", "kind", "host", "o", "from",
)  # fmt: skip

VARS = {
    "backend": BACKEND_VAR,
    "text": SEARCH_VAR,
    "state": STATE_VAR,
    "kind": KIND_VAR,
    "host": HOST_VAR,
    "order": ORDER_VAR,
    "start": START_VAR,
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
        def one_of(var: str, known: Any, default: str = "") -> str:
            value = params.get(var, default)
            return value if value in known else default

        return cls(
            backend=one_of(BACKEND_VAR, aliases),
            text=params.get(SEARCH_VAR, "").strip()[:LONGEST_TEXT],
            state=one_of(STATE_VAR, STATES),
            kind=one_of(KIND_VAR, KINDS),
            host=params.get(HOST_VAR, "")[:LONGEST_TEXT],
            order=one_of(ORDER_VAR, ORDERS, "ttl"),
            start=number(params.get(START_VAR), least=0),
            page=number(params.get(PAGE_VAR), least=1),
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
