"""Signatures of callables that get the arguments of a call: for names, labels, busy answers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from inspect import Parameter, Signature
from types import FunctionType, MethodType
from typing import Any

__all__ = ["ANY_NUMBER", "check_takes", "signature_of", "takes_one_argument"]

ANY_NUMBER = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def signature_of(function: Any, *, follow_wrapped: bool = True) -> Signature:
    """Return the signature. Raises ``TypeError`` for an object that has none.

    The ``__wrapped__`` of a partial is ignored: Django's ``method_decorator()`` passes the partial
    of a bound method whose ``__wrapped__`` is the function, with ``self``.
    """
    try:
        if follow_wrapped:
            inner = inspect.unwrap(function, stop=_has_own_signature)
            if isinstance(inner, partial):
                function = partial(inner.func, *inner.args, **inner.keywords)
        return inspect.signature(function, follow_wrapped=follow_wrapped)
    except ValueError:
        raise TypeError(
            f"{function!r} shows no arguments: write the decorator below what made it of a "
            "function, directly above the `def`."
        ) from None


def _has_own_signature(function: Any) -> bool:
    return isinstance(function, partial) or hasattr(function, "__signature__")


def check_takes(given: Any, call: Signature, what: str, *before: str) -> None:
    """Raise ``TypeError`` for an exception, or what cannot take the arguments of any such call.

    ``what`` is the name of the option, ``before`` the arguments that come before those of the call.
    Values that are not callable or have no signature are not checked.
    """
    if isinstance(given, type) and issubclass(given, BaseException):
        raise TypeError(
            f"{what} would return {given.__name__}, not raise it: write a function that raises it."
        )
    if not callable(given) or any(one.kind in ANY_NUMBER for one in call.parameters.values()):
        return
    try:
        own = inspect.signature(given)
    except (TypeError, ValueError):
        return
    if not any(_binds(own, [*before, *args], kwargs) for args, kwargs in _calls(call)):
        name = getattr(given, "__name__", what)
        arguments = ", ".join([*before, *call.parameters])
        raise TypeError(f"{what} takes other arguments than it gets: write {name}({arguments}).")


def takes_one_argument(given: Any) -> bool:
    """Whether this certainly takes one argument. Faster than a signature, which takes 30 us."""
    is_method = isinstance(given, MethodType)
    function = given.__func__ if is_method else given
    if not isinstance(function, FunctionType):
        return False
    code = function.__code__
    return code.co_argcount == 1 + is_method and not code.co_kwonlyargcount


def _calls(call: Signature) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the ways to call it: with and without defaults, by position and by name."""
    everything = list(call.parameters.values())
    for some in (everything, [one for one in everything if one.default is one.empty]):
        for named in (
            (Parameter.KEYWORD_ONLY,),
            (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD),
        ):
            args = [one.name for one in some if one.kind not in named]
            yield args, {one.name: one.name for one in some if one.kind in named}


def _binds(own: Signature, args: list[str], kwargs: dict[str, str]) -> bool:
    try:
        own.bind(*args, **kwargs)
    except TypeError:
        return False
    return True
