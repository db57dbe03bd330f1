"""Fields of name templates, and the separators between them."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from string import Formatter
from typing import NamedTuple

__all__ = ["Part", "leads_into", "parse", "refuse_other_fields", "root", "separators", "unfilled"]

_FORMATTER = Formatter()

# A field in the style of printf, but not the "%" of "discount:10%" or the "%D0" of an encoded byte.
_PERCENT = re.compile(
    r"%(?:\(\w+\)[#0 +-]*[\d.]*[a-zA-Z]|0?\d*(?:\.\d+)?[diouxXeEfFgGcrs](?![0-9A-Za-z]))"
)
_BRACES = re.compile(r"\{[A-Za-z_0-9][\w.\[\]]*(?:![sra])?(?::[^{}]*)?\}")
# Fields in the style of string.Template, Django's templates and URLs: $x, {{x}}, <x>, <int:x>.
_ELSEWHERE = re.compile(r"(?:\$|\{\s*|<(?:\w+:)?)([A-Za-z_]\w*)")


class Part(NamedTuple):
    literal: str
    field: str | None
    spec: str
    conversion: str | None


def unfilled(name: str) -> str:
    """Return what looks like a field, such as ``{feed_id}``, in a name that is no template."""
    found = _BRACES.search(name) or _PERCENT.search(name)
    return found[0] if found else ""


def refuse_other_fields(parts: Sequence[Part], text: str, arguments: Container[str]) -> None:
    """Refuse fields of another style than braces, with which all calls would share a name."""
    # A doubled brace also ends a part.
    literal = "".join(part.literal if part.field is None else f"{part.literal}\0" for part in parts)
    for found in _ELSEWHERE.finditer(literal):
        if found[1] in arguments:
            raise _not_a_field(text, found[0], f"{{{found[1]}}}")


def _not_a_field(text: str, found: str, instead: str) -> ValueError:
    return ValueError(
        f"The lock name {text!r} would be one lock for all calls: {found!r} is not a field. Write "
        f"{instead}, by the name that the argument has in the function."
    )


def parse(text: str) -> list[Part]:
    """Return the parts of a template. Raises ``ValueError`` if it is not one."""
    try:
        parts = [
            Part(literal, field, spec or "", conversion)
            for literal, field, spec, conversion in _FORMATTER.parse(text)
        ]
    except ValueError as error:
        raise ValueError(
            f"The lock name {text!r} is not a template: {error}. To write a brace itself, "
            "double it."
        ) from None
    for literal, field, spec, conversion in parts:
        if found := _PERCENT.search(literal):
            raise _not_a_field(text, found[0], "{argument}")
        if field is not None and not _leads_somewhere(field):
            raise ValueError(
                f"The lock name {text!r} has the field {{{field}}}, which does not say what to "
                "look up: write {argument.attribute} or {argument[item]}."
            )
        if field is not None and not root(field).isidentifier():
            raise ValueError(
                f"The lock name {text!r} has the field {{{field}}}, which names no argument: write "
                "{argument}, by the name that the argument has in the function."
            )
        if "{" in spec:
            raise ValueError(f"The lock name {text!r} has a field within a field.")
        if conversion not in (None, "s", "r", "a"):
            raise ValueError(f"The lock name {text!r} has the unknown conversion !{conversion}.")
    return parts


def _leads_somewhere(field: str) -> bool:
    """Whether each dot of the field is followed by an attribute, and each bracket by an item."""
    return re.fullmatch(r"[^.\[]*(\.[^.\[]+|\[[^\]]+\])*", field) is not None


def leads_into(field: str, other: str) -> bool:
    """Whether a field is ``other``, such as ``request.user``, or something inside of it."""
    return f"{field}.".startswith((f"{other}.", f"{other}["))


def root(field: str) -> str:
    """Return the argument that a field begins with."""
    return re.split(r"[.\[]", field, maxsplit=1)[0]


def separators(parts: Sequence[Part], text: str) -> set[str]:
    """Return the characters that separate fields; in values they have to be encoded."""
    found: set[str] = set()
    before, literal = "", ""
    for part in parts:
        literal += part.literal
        if part.field is None:
            continue
        between = {char for char in literal if not char.isalnum()} - {"%"}
        if before and not between:
            raise ValueError(
                f"The lock name {text!r} has nothing to show where {{{before}}} ends and "
                f"{{{part.field}}} begins: write a separator such as a colon between them."
            )
        if before:
            found |= between
        before, literal = part.field, ""
    return found
