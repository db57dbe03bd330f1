"""Families of names, by which figures are counted: there are many names but few families."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["LONGEST_FAMILY", "OTHER", "TemplatedName", "family_of"]

# Longer families (characters) are cut, so that the space for the figures is bounded.
LONGEST_FAMILY = 100

# Stands for all families beyond the maximum. No name is empty, so no name has this family.
OTHER = ""

# The varying part of a name, with no other letter or digit next to it: a number, a UUID, a digest.
# Without re.IGNORECASE, which would take half as long again.
_HEX = "[0-9a-fA-F]"
_TELLING = re.compile(
    rf"(?<![^\W_])"
    rf"(?:\d+|(?=[a-fA-F]*[0-9])(?:{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}|{_HEX}{{8,}}))"
    rf"(?![^\W_])"
)


class TemplatedName(str):
    """A name that knows the template it was made from."""

    template = ""


def family_of(name: str) -> str:
    """Return the name's template, or the name with ``*`` for its numbers, UUIDs and digests."""
    if isinstance(name, TemplatedName):
        return _cut(name.template)
    # Most names only differ in the number at their end, so the result for the rest is cached.
    head, colon, tail = name.rpartition(":")
    return _cut(f"{_derived(head)}:*") if colon and tail.isdecimal() else _derived(name)


@lru_cache(maxsize=2048)
def _derived(name: str) -> str:
    return _cut(_TELLING.sub("*", name))


def _cut(family: str) -> str:
    return family if len(family) <= LONGEST_FAMILY else f"{family[: LONGEST_FAMILY - 1]}…"
