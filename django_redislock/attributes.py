"""Attributes by which classes configure their lock, checked when the class is created."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from inspect import getattr_static
from types import CodeType, FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from .conf import exit_code
from .names import dotted_path, name_templates
from .options import OPTIONS, check_options, options_of_calls
from .spelling import distance

__all__ = [
    "check_attributes",
    "check_lock_options",
    "check_reached",
    "is_known_later",
    "unknown_attributes",
]

# Attributes that look like ours but are not, by class, for the system check that runs later.
unknown_attributes: WeakKeyDictionary[type, list[str]] = WeakKeyDictionary()

PREFIXES = ("lock", "get_lock", "busy_", "lost_")


def check_attributes(owner: type, mixin: type, *, by_call: bool = False) -> None:
    """Raise ``TypeError`` for an attribute that looks like a misspelt option of ``mixin``.

    A method or a property with such a name is the project's own. Other unknown attributes that
    begin with ``lock_``, and a ``get_lock_name()`` that nothing calls, are noted for the system
    check: they may be the project's own as well. Also raises ``TypeError`` or ``ValueError`` for an
    invalid name or option.
    ``by_call``: the name and the label may be callables that get the arguments of a call.
    """
    known = {name for name in dir(mixin) if name.startswith(PREFIXES)}
    # Without a lock name of its own, the class would lock another name and nobody would notice.
    methods = {name for name in known if name.startswith("get_lock_")}
    options = {f"lock_{option}" for option in options_of_calls()} - known
    unknown = []
    for name in _own_attributes(owner, mixin):
        if name in known or not name.startswith(PREFIXES):
            continue
        is_method = hasattr(type(getattr_static(owner, name)), "__get__")
        if meant := _meant(name, methods if is_method else known):
            raise TypeError(
                f"{dotted_path(owner)} has the attribute {name!r}, which has no effect. Did you "
                f"mean {meant!r}?"
            )
        if not is_method and (meant := _meant(name, options)):
            raise TypeError(
                f"{dotted_path(owner)} has the attribute {name!r}, which has no effect: write "
                f"lock_options = {{{meant.removeprefix('lock_')!r}: ...}}."
            )
        # Models and commands have get_lock_name(), so a view may have it by mistake.
        if name.startswith("lock_") or name == "get_lock_name":
            unknown.append(name)
    if unknown:
        unknown_attributes[owner] = unknown
    _check_values(owner, known, by_call=by_call)


def check_lock_options(options: Any, attributes: Collection[str]) -> None:
    """Raise for options that are invalid, or that belong in an attribute of their own."""
    if not isinstance(options, Mapping):
        raise TypeError(f"lock_options is a dictionary of options, not {options!r}.")
    for option in options:
        if f"lock_{option}" in attributes:
            raise TypeError(f"Write the {option} in lock_{option}, not in lock_options.")
    check_options(options)


def _check_values(owner: Any, known: Collection[str], *, by_call: bool) -> None:
    """Raise for an invalid name or option, if the class itself has its value."""
    values = {
        name: getattr(owner, name)
        for name in known
        if not is_known_later(getattr_static(owner, name))
    }
    lock_name = values.get("lock_name")
    if callable(lock_name) and not by_call:
        raise TypeError(
            f"{dotted_path(owner)} has a lock_name that is no template: override get_lock_name() "
            "for a name that code makes."
        )
    if lock_name and not callable(lock_name):
        name_templates(lock_name)
    lock_options = values.get("lock_options", {})
    check_lock_options(lock_options, known)
    if (label := lock_options.get("label")) is not None and not by_call:
        OPTIONS["label"].check(label, "label")
    for name in known:
        if name.endswith("_exit_code") and name in values:
            exit_code(values[name], name)
    for option in OPTIONS:
        if f"lock_{option}" in values:
            check_options({option: values[f"lock_{option}"]})


def is_known_later(attribute: object) -> bool:
    """Whether only instances have its value: true of a property, say, but not of a method."""
    is_method = isinstance(attribute, (FunctionType, classmethod, staticmethod))
    return hasattr(type(attribute), "__get__") and not is_method


def check_reached(owner: type, mixin: type, method: str) -> None:
    """Raise ``TypeError`` if a class before ``mixin`` overrides ``method`` without ``super()``."""
    for one in owner.__mro__[: owner.__mro__.index(mixin)]:
        if method not in vars(one) or _passes_on(vars(one)[method], method):
            continue
        if one is owner:
            raise TypeError(
                f"{dotted_path(owner)}.{method}() would run without the lock: it does not call "
                f"super().{method}(), which takes it."
            )
        bases = sorted(owner.__bases__, key=lambda base: not issubclass(base, mixin))
        if bases[0] is not mixin and not issubclass(bases[0], one):
            bases.insert(0, mixin)
        raise TypeError(
            f"{mixin.__name__} goes before {one.__name__}, whose {method}() would run without the "
            f"lock: class {owner.__name__}({', '.join(base.__name__ for base in bases)})."
        )


def _own_attributes(owner: type, mixin: type) -> Iterator[str]:
    for one in owner.__mro__:
        # Attributes of its parents were checked when these were created.
        if one is owner or not (issubclass(one, mixin) or issubclass(mixin, one)):
            yield from vars(one)


def _meant(name: str, known: Collection[str]) -> str | None:
    for other in sorted(known):
        if "_" not in other:
            # A word such as "locked" is too near to the project's own words, such as "locks".
            continue
        # Two other letters make another word of a short one: lock_time, lock_name.
        most = 1 if len(other.removeprefix("lock_")) <= 5 else 2
        if abs(len(name) - len(other)) <= most and distance(name, other) <= most:
            return other
    return None


def _passes_on(function: Any, method: str) -> bool:
    """Whether it may call the next ``method``. True if its code cannot be inspected."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is None or _mentions(code, method)


def _mentions(code: CodeType, name: str) -> bool:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return name in code.co_names or any(_mentions(one, name) for one in inner)
