"""Names from templates: ``"feed:{feed_id}"``, filled from the arguments of a call."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial
from string import Formatter
from typing import Any, TypeAlias
from uuid import UUID

from .fields import Part, parse, refuse_other_fields, root, separators
from .figures.families import TemplatedName
from .hints import to_string

__all__ = [
    "LONGEST_NAME",
    "CallNames",
    "InvalidName",
    "NameSource",
    "NameTemplate",
    "UnusableName",
    "check_name",
    "dotted_path",
    "name_templates",
]

# A template, several of them, or a callable that makes the name, or names, of a call from its
# arguments. To a type checker, a str is a collection of str.
NameSource: TypeAlias = (
    "str | Sequence[str] | Callable[..., Collection[str] | Awaitable[Collection[str]]]"
)

# Different values of one of these types have different texts. Rows of a model may not, and the text
# of most other objects has a memory address, which differs from process to process.
UNIQUE_AS_TEXT = (str, int, float, Decimal, UUID, date, time, timedelta)

_FORMATTER = Formatter()

# In bytes of UTF-8.
LONGEST_NAME = 1024


class InvalidName(ValueError):
    """No lock can have this name: it is empty, too long or not valid Unicode."""


def check_name(name: str) -> str:
    """Return the name in its final form, or raise ``ValueError`` or ``TypeError``.

    A member of a ``(str, Enum)`` stands for the string that it equals, whatever its ``str()`` is.
    """
    if not isinstance(name, str):
        raise TypeError(f"A lock's name must be a string, not {name!r}{to_string(name)}.")
    template = getattr(name, "template", None)
    # The name itself is not shown in an error: it may be long, and its values may be secret.
    called = f"The lock name {template!r}" if isinstance(template, str) else "A lock's name"
    if not name:
        raise InvalidName(f"{called} must not be empty.")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidName(f"{called} must be valid Unicode.") from None
    if length > LONGEST_NAME:
        raise InvalidName(
            f"{called} must be at most {LONGEST_NAME:,} bytes of UTF-8 long, not {length:,}: use a "
            "shorter value, or a digest of it."
        )
    if type(name) is str or isinstance(template, str):
        return name
    return str.__str__(name)


class UnusableName(ValueError):
    """A name cannot be made from the arguments of a call. ``field`` is the cause."""

    # Python makes a pickled exception anew from its message, and sets its attributes afterwards.
    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NameTemplate:
    """A name with fields in braces, as in ``str.format``, filled so that no two calls collide.

    In the values, ``:``, ``%``, ``{``, ``}``, characters that are not printable, and all characters
    that separate fields of the template are percent-encoded.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts = parse(text)
        self.fields = [part.field for part in self.parts if part.field is not None]
        self.roots = {root(field) for field in self.fields}
        self._encoded = frozenset(":%{}") | separators(self.parts, text)

    def fill(self, values: Mapping[str, Any]) -> str:
        """Return the name. Raises ``UnusableName`` if a field has no value that a name can use."""
        name: list[str] = []
        for part in self.parts:
            name.append(part.literal)
            if part.field is not None:
                text = self._text(part, part.field, values)
                name.append(text if text.isalnum() else self._encode(text))
        filled = TemplatedName("".join(name))
        filled.template = self.text
        return filled

    def _text(self, part: Part, field: str, values: Mapping[str, Any]) -> str:
        try:
            value, _ = _FORMATTER.get_field(field, (), values)
        except (AttributeError, LookupError, TypeError) as error:
            if root(field) not in values:
                there = ", ".join(sorted(map(str, values))) or "nothing"
                raise self._unusable(field, f"is missing; available: {there}") from error
            why = f"no item {error}" if isinstance(error, KeyError) else error
            raise self._unusable(field, f"cannot be looked up: {why}") from error
        if value is None:
            raise self._unusable(field, "is None, which would be one lock for all without one")
        if isinstance(value, Enum) and isinstance(value.value, UNIQUE_AS_TEXT):
            # str() and format() of a member differ between versions of Python.
            value = value.value
        if part.conversion or part.spec:
            try:
                return format(_FORMATTER.convert_field(value, part.conversion), part.spec)
            except (TypeError, ValueError) as error:
                raise self._unusable(field, f"cannot be formatted: {error}") from error
        if not isinstance(value, UNIQUE_AS_TEXT):
            advice = (
                f"write {{{field}.pk}}"
                if hasattr(value, "pk")
                else f"write one of its attributes, or {{{field}!s}} if no two of them "
                "have the same text"
            )
            raise self._unusable(field, f"is of the type {type(value).__name__}: {advice}")
        return _text_of(value) if isinstance(value, (Decimal, datetime)) else str(value)

    def _unusable(self, field: str, why: str) -> UnusableName:
        return UnusableName(
            f"The lock name {self.text!r} cannot be made: {{{field}}} {why}.", field
        )

    def _encode(self, text: str) -> str:
        return "".join(
            "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
            if char in self._encoded or not char.isprintable()
            else char
            for char in text
        )


def _text_of(value: Decimal | datetime) -> str:
    """Return a text that is the same for equal decimals and for equal moments."""
    if isinstance(value, Decimal):
        return _digits(Decimal(str(value)))
    if value.utcoffset() is not None:
        with suppress(OverflowError):  # within a day of the first or last year
            return str(value.astimezone(timezone.utc))
    return str(value)


def _digits(number: Decimal) -> str:
    """Return the number as an integer is written, without an exponent or zeros at its end."""
    if not number.is_finite() or abs(number.adjusted()) > LONGEST_NAME:
        return str(number)
    # Not normalize(), which rounds to the precision of the context.
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


class CallNames:
    """Names of the locks for the calls of a function, made from the arguments of each call.

    ``first`` is a name by which templates may also call the first argument. Raises ``ValueError``
    or ``TypeError`` for a source that cannot name any call.
    """

    def __init__(
        self, source: NameSource, signature: inspect.Signature, where: str, first: str = ""
    ) -> None:
        self._signature = signature
        self._where = where
        self._first = first
        self.made_by = source if callable(source) else None
        self._several = not isinstance(source, str)
        self.templates = [] if callable(source) else name_templates(source)
        self.fields = [field for template in self.templates for field in template.fields]
        # The arguments of a call that the fields need.
        self._roots = {root(field) for field in self.fields} - {first}
        self._positions = _names_of_positions(signature)
        self._check_fields()

    @property
    def is_async(self) -> bool:
        """Whether ``of`` returns an awaitable."""
        return inspect.iscoroutinefunction(self.made_by)

    def of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return the name, or the list of names, for a call with these arguments."""
        if self.made_by is not None:
            return self.made_by(*args, **kwargs)
        values: dict[str, Any] = {}
        if self.fields:
            # Binding the arguments takes as long as a fifth of an acquire and release. It is
            # skipped if the fields are found without; then the call itself refuses arguments that
            # do not fit.
            values = {**dict(zip(self._positions, args, strict=False)), **kwargs}
            if not self._positions or not values.keys() >= self._roots:
                values = self._bound(args, kwargs)
            if self._first:
                values[self._first] = args[0]
        if self._several:
            return [template.fill(values) for template in self.templates]
        return self.templates[0].fill(values)

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._where}(): {error}") from None
        bound.apply_defaults()
        values = dict(bound.arguments)
        for parameter in self._signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                # A keyword may have the same name as a positional-only argument.
                values = values[parameter.name] | values
        return values

    def _check_fields(self) -> None:
        parameters = self._signature.parameters.values()
        known = {parameter.name for parameter in parameters} | {self._first}
        for template in self.templates:
            refuse_other_fields(template.parts, template.text, known)
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return
        for template in self.templates:
            for missing in sorted(template.roots - known):
                raise ValueError(
                    f"The lock name {template.text!r} mentions {{{missing}}}, which is not an "
                    f"argument of {self._where}({', '.join(self._signature.parameters)})."
                )


def _names_of_positions(signature: inspect.Signature) -> list[str]:
    """Return the names of the arguments by position; none if one of them is positional-only.

    In that case a keyword of the same name may be another argument.
    """
    parameters = signature.parameters.values()
    if any(parameter.kind is parameter.POSITIONAL_ONLY for parameter in parameters):
        return []
    return [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]


def dotted_path(thing: Any) -> str:
    """``module.qualified_name`` of a function, also of a partial one, a method or a class."""
    while isinstance(thing, partial):
        thing = thing.func
    name = getattr(thing, "__qualname__", None) or type(thing).__qualname__
    return f"{getattr(thing, '__module__', None) or '?'}.{name}"


@lru_cache(maxsize=512)
def name_template(text: str) -> NameTemplate:
    """Return the template of this text, which is parsed only once."""
    return NameTemplate(text)


def name_templates(source: str | Sequence[str]) -> list[NameTemplate]:
    """Return the templates. Raises ``TypeError`` or ``ValueError`` for an invalid one."""
    texts = [source] if isinstance(source, str) else source
    if not isinstance(texts, (list, tuple)) or not texts:
        raise TypeError(
            "The name of a lock is a template, a list of templates, or a callable that makes the "
            f"name from the arguments, not {source!r}."
        )
    return [name_template(check_name(text)) for text in texts]
