"""The family of a name: what its figures are counted under. Names are many, families are few."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["LONGEST_FAMILY", "OTHER", "TemplatedName", "family_of"]

# A longer family (characters) is cut: whoever keeps figures has room for so many of this length.
LONGEST_FAMILY = 100

# All families that there is no room for. No name is empty, so no name has this family.
OTHER = ""

# What stands between other letters and digits, and makes each name another one: a number, a UUID, a
# digest. Without re.IGNORECASE, which would take half as long again.
_HEX = "[0-9a-fA-F]"
_TELLING = re.compile(
    rf"(?<![^\W_])"
    rf"(?:\d+|(?=[a-fA-F]*[0-9])(?:{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}|{_HEX}{{8,}}))"
    rf"(?![^\W_])"
)


class TemplatedName(str):
    """A name that knows the template it was made from."""

    template = ""

    @classmethod
    def of(cls, name: str, template: str) -> TemplatedName:
        templated = cls(name)
        templated.template = template
        return templated


def family_of(name: str) -> str:
    """The template of a name; else the name with ``*`` for its numbers, UUIDs and digests."""
    if isinstance(name, TemplatedName):
        return _cut(name.template)
    # Most names differ in the number at their end alone, and what is before it is remembered.
    head, colon, tail = name.rpartition(":")
    return _cut(f"{_derived(head)}:*") if colon and tail.isdecimal() else _derived(name)


@lru_cache(maxsize=2048)
def _derived(name: str) -> str:
    return _cut(_TELLING.sub("*", name))


def _cut(family: str) -> str:
    return family if len(family) <= LONGEST_FAMILY else f"{family[: LONGEST_FAMILY - 1]}…"
