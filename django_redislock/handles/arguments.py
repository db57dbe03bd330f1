"""Refusal of arguments that other lock libraries take, with a hint at what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from ..options import OPTIONS

__all__ = ["refuse_arguments"]


def refuse_arguments(verb: str, seconds: object, unknown: Mapping[str, object]) -> NoReturn:
    """Raise ``TypeError`` for a verb that got unknown arguments, or a flag instead of seconds."""
    own = "wait" if verb.endswith("acquire") else "lease"
    if not unknown:
        raise TypeError(
            f"{own} must be a number of seconds, not {seconds!r}; wait=0 makes an attempt that "
            "does not wait."
        )
    name = next(iter(unknown))
    if name in OPTIONS:
        hint = f"it is an option of the handle, lock(..., {name}=...)"
    elif name == "blocking":
        hint = "write wait=0 for an attempt that does not wait"
    else:
        hint = f"write {own}= and a number of seconds"
    raise TypeError(f"{verb}() has no argument {name!r}: {hint}.")
