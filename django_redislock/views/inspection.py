"""Inspection of what ``locked_view`` decorates: functions, methods and classes of views."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from django.views.generic import View

from ..names import dotted_path
from ..signatures import signature_of

__all__ = [
    "NAME_IT",
    "bound_method",
    "is_rest_framework_view",
    "path_of_method",
    "refuse_class",
    "signature_of_function",
    "signature_of_method",
]

NAME_IT = 'It needs the name of the lock: @locked_view("event:{event_id}").'


def bound_method(view: Any) -> Any:
    """Return the bound method inside the wrappers of ``method_decorator``, or None."""
    while view is not None:
        method = view.func if isinstance(view, partial) else view
        if inspect.ismethod(method):
            return method
        view = getattr(view, "__wrapped__", None)
    return None


def path_of_method(method: Any) -> str:
    owner = method.__self__ if isinstance(method.__self__, type) else type(method.__self__)
    # A class view is shown by its class, whichever of its handlers is locked.
    is_handler = issubclass(owner, View)
    return dotted_path(owner) if is_handler else f"{dotted_path(owner)}.{method.__name__}"


@lru_cache(maxsize=512)
def signature_of_method(function: Callable[..., Any]) -> inspect.Signature:
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def signature_of_function(view: Any) -> inspect.Signature:
    if not callable(view):
        raise TypeError(f"@locked_view decorates a view, not {view!r}. {NAME_IT}")
    refuse_class(view)
    if is_rest_framework_view(getattr(view, "cls", None)):
        raise TypeError(
            "@locked_view must be inside REST framework, which authenticates the user and "
            "renders the response: write it below @api_view, or on the class as "
            '@method_decorator(locked_view(...), name="dispatch").'
        )
    # as_view() copies the attributes of dispatch() to its function, even ``__wrapped__``, which
    # leads to a method.
    signature = signature_of(view, follow_wrapped=not hasattr(view, "view_class"))
    if not signature.parameters:
        raise TypeError(f"{dotted_path(view)}() takes no request: write @locked(...) above it.")
    if next(iter(signature.parameters), "") == "self":
        raise TypeError(
            f"{dotted_path(view)} is a method: write @method_decorator(locked_view(...)) above it."
        )
    return signature


def refuse_class(view: Any) -> None:
    """Raise ``TypeError`` for a class, which has to be decorated in another way."""
    if isinstance(view, type):
        raise TypeError(
            f"@locked_view decorates a function, not the class {view.__name__}: write "
            '@method_decorator(locked_view(...), name="dispatch"), or use LockedViewMixin.'
        )


def is_rest_framework_view(view_class: Any) -> bool:
    module = sys.modules.get("rest_framework.views")
    return (
        module is not None
        and isinstance(view_class, type)
        and issubclass(view_class, module.APIView)
    )
