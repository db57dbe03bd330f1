"""Options of a lock: typed, checked and documented once, for handles, functions, views and rows."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, TypeVar

from asgiref.sync import iscoroutinefunction

from .backends.base import SHARED
from .conf import (
    DEFAULT_LOCK_ALIAS,
    Duration,
    flag,
    lease_seconds,
    max_hold_seconds,
    seconds,
    text,
    wait_seconds,
)
from .hints import unknown_option
from .signatures import check_takes, takes_one_argument

if TYPE_CHECKING:
    from .conf import LockConfig

__all__ = [
    "CallOptions",
    "LockOptions",
    "RowOptions",
    "Terms",
    "check_options",
    "documented",
    "options_of_call",
    "options_of_calls",
]

F = TypeVar("F", bound=Callable[..., Any])

_NO_CALL = inspect.Signature()
_VISIBLE = re.compile(r"[!-~]+")


class _Options(TypedDict, total=False):
    using: str | None
    lease: Duration | None
    wait: Duration | None
    renew: bool | None
    max_hold: Duration | None
    min_hold: Duration
    limit: int
    shared: bool
    reentrant: bool
    on_lost: Callable[[Any], object] | None


class RowOptions(_Options, total=False):
    """The options of a block that holds rows."""

    label: str
    what: str | None


class LockOptions(RowOptions, total=False):
    """The options of ``lock()``."""

    token: str | None


class CallOptions(_Options, total=False):
    """The options of things that are called repeatedly: functions, views, methods, commands."""

    label: str | Callable[..., str]


class Terms(NamedTuple):
    """How a handle acquires and holds its lock. Times are in seconds."""

    wait: float
    lease: float
    renew: bool
    max_hold: float | None
    min_hold: float = 0.0
    limit: int = 1
    shared: bool = False
    reentrant: bool = False
    on_lost: Callable[[Any], object] | None = None
    label: str = ""
    what: str | None = None
    token: str | None = None

    @classmethod
    def of(cls, config: LockConfig, options: Mapping[str, Any], what: str | None = None) -> Terms:
        """Return the options, with the defaults from ``LOCKS``.

        ``what``: the default of the option ``what``.
        Raises ``ValueError`` or ``TypeError`` for invalid options.
        """
        if _KEPT.issuperset(options):
            try:
                return _kept(config, what, **options)
            except TypeError:
                pass  # an unhashable value, which is invalid: the error is raised below
        return cls._of(config, options, what)

    @classmethod
    def _of(cls, config: LockConfig, options: Mapping[str, Any], what: str | None) -> Terms:
        values = {**config.terms, "what": what}
        for name, value in options.items():
            if name not in OPTIONS:
                raise TypeError(unknown_option(name, OPTIONS))
            if value is not None:
                values[name] = OPTIONS[name].check(value, name)
        if "limit" in options or "min_hold" in options:
            _check_together(values)
        return cls(**values)


# These options have few different values, so the terms for each combination are cached.
_KEPT = frozenset(
    {"lease", "wait", "renew", "max_hold", "min_hold", "limit", "shared", "reentrant", "what"}
)


@lru_cache(maxsize=1024, typed=True)
def _kept(config: LockConfig, what: str | None, /, **options: Any) -> Terms:
    return Terms._of(config, options, what)


class _Option(NamedTuple):
    default: Any
    check: Callable[[Any, str], Any]
    about: str


def check_options(
    options: Mapping[str, Any], others: Collection[str] = (), *, of_rows: bool = False
) -> None:
    """Raise for options that are invalid whatever ``LOCKS`` says. Decorators call this early.

    ``others``: further arguments of the decorator. ``of_rows``: the options of a block with rows.
    """
    refused = _NOT_OF_ROWS if of_rows else _OF_ONE_HOLD
    for name, value in options.items():
        if name in refused:
            raise TypeError(f"There is no option {name!r} here: {refused[name]}.")
        if name not in OPTIONS:
            known = [*others, *(option for option in OPTIONS if option not in refused)]
            raise TypeError(unknown_option(name, known))
        of_call = name == "label" and not of_rows
        if of_call and iscoroutinefunction(value):
            raise TypeError("label is not awaited: write an ordinary function, not `async def`.")
        if not (value is None or (of_call and callable(value))):
            OPTIONS[name].check(value, name)
    _check_together(options)


def options_of_call(options: Mapping[str, Any], args: Any, kwargs: Any) -> Mapping[str, Any]:
    """Return the options for a call with these arguments, from which a callable makes the label."""
    label = options.get("label")
    return {**options, "label": label(*args, **kwargs)} if callable(label) else options


def documented(**changed: Any) -> Callable[[F], F]:
    """Add all options to the signature and the docstring of a function that takes them.

    ``changed``: the options whose default is different here.
    """

    def document(function: F) -> F:
        own = inspect.signature(function)
        taken = own.parameters["options"].annotation
        names = list(OPTIONS) if taken == "Unpack[LockOptions]" else options_of_calls()
        # Leave out **options, and *args, which are only taken to be refused with a hint.
        refused = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        shown = [one for one in own.parameters.values() if one.kind not in refused]
        shown += [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=changed.get(name, OPTIONS[name].default),
            )
            for name in names
            if name not in own.parameters
        ]
        function.__signature__ = own.replace(parameters=shown)  # type: ignore[attr-defined]
        about = "\n".join(f"* ``{name}``: {OPTIONS[name].about}" for name in names)
        function.__doc__ = f"{inspect.getdoc(function)}\n\nOptions:\n\n{about}\n"
        return function

    return document


# Options that apply to a single handle, and not to calls, each of which has a handle of its own.
_OF_ONE_HOLD = {
    "token": "a token belongs to one hold. Write lock(name, token=...)",
    "what": "the decorated code is shown as the holder. Write label= for a text of your own",
}

_NOT_OF_ROWS = {
    "token": "a row is held by a block of its own. To act on a hold by its token, write "
    "lock(instance.get_lock_name(), token=...)",
    "name": "a row is locked by the lock_name of its model. For another name, write lock(name)",
}


def options_of_calls() -> list[str]:
    """Return the options that can apply to repeated calls."""
    return [name for name in OPTIONS if name not in _OF_ONE_HOLD]


def _check_together(options: Mapping[str, Any]) -> None:
    if options.get("shared") and options.get("limit", 1) not in (1, None):
        raise ValueError("limit and shared exclude each other: a shared lock has no limit.")
    if options.get("min_hold") and options.get("reentrant"):
        raise ValueError(
            "min_hold and reentrant exclude each other: the hold may belong to another handle."
        )


def _callback(value: Any, what: str) -> Callable[[Any], object]:
    if not callable(value):
        raise TypeError(f"{what} must be a callable that gets the handle, not {value!r}.")
    if iscoroutinefunction(value):
        raise TypeError(
            f"{what} is called in a thread, which cannot await it: write an ordinary function, or "
            "let a task `await held.lost`."
        )
    if not takes_one_argument(value):
        check_takes(value, _NO_CALL, what, "lock")
    function: Callable[[Any], object] = value
    return function


def _limit(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < SHARED:
        raise ValueError(f"{what} must be a whole number from 1 to {SHARED - 1}, not {value!r}.")
    return value


def _token(value: Any, what: str) -> str:
    # In the records of the scripts a token ends at the first blank, and its bytes are counted.
    if not (isinstance(value, str) and _VISIBLE.fullmatch(value)):
        raise ValueError(f"{what} must be the token of another handle, not {value!r}.")
    return value


OPTIONS = {
    "using": _Option(DEFAULT_LOCK_ALIAS, text, "the alias in ``LOCKS``."),
    "lease": _Option(None, lease_seconds, "seconds until an unrenewed hold ends."),
    "wait": _Option(
        None,
        wait_seconds,
        "seconds that an attempt may queue; 0 does not wait, ``float('inf')`` waits for ever.",
    ),
    "renew": _Option(None, flag, "whether the lease is renewed while the process runs."),
    "max_hold": _Option(
        None,
        max_hold_seconds,
        "seconds after which a hold is no longer renewed; ``float('inf')`` renews it for ever.",
    ),
    "min_hold": _Option(
        0.0,
        seconds,
        "seconds that a hold lasts at least, however soon it is released: so a job does not run "
        "twice if it takes less time than the clocks of two servers differ.",
    ),
    "limit": _Option(1, _limit, "how many may hold the name at once."),
    "shared": _Option(
        False, flag, "a read lock: many may share it; a lock without ``shared`` excludes them all."
    ),
    "reentrant": _Option(
        False, flag, "join the latest hold of the same thread or task, if there is one."
    ),
    "label": _Option("", text, "free text shown with the holder, such as a user or a job."),
    "on_lost": _Option(
        None, _callback, "called with the handle, in a thread, when the hold is lost."
    ),
    "what": _Option(None, text, "what the holder is doing; by default the calling function."),
    "token": _Option(None, _token, "the token of another handle, to act on its hold."),
}
