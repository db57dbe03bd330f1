"""The ``LOCKS`` setting, read and checked: one frozen ``LockConfig`` for each alias."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import Any, TypeAlias

from django.conf import settings

from .exceptions import InvalidLockBackend
from .hints import to_string
from .spelling import suggestion

__all__ = [
    "DEFAULT_LOCK_ALIAS",
    "SHORTEST_LEASE",
    "Duration",
    "LockConfig",
    "exit_code",
    "flag",
    "lease_seconds",
    "max_hold_seconds",
    "read_settings",
    "seconds",
    "text",
    "wait_seconds",
]

DEFAULT_LOCK_ALIAS = "default"
DEFAULT_BACKEND = "django_redislock.backends.redis.RedisLockBackend"

# A shorter lease cannot outlive its own round trip and renewal, so it would only ever be lost.
SHORTEST_LEASE = 0.02

# A century. Longer times fit neither into the waits of threads nor into the numbers of scripts.
LONGEST = 3_155_760_000

Duration: TypeAlias = float | int | timedelta


def seconds(value: Duration, what: str, *, least: float = 0.0, endless: bool = False) -> float:
    """Return ``value`` (a number of seconds or a timedelta) as a float of at least ``least``.

    ``endless`` allows ``float("inf")``. Raises a ``ValueError`` that names ``what`` and says what
    to write.
    """
    number = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    if is_number and abs(number) > sys.float_info.max:
        # Infinite, as 1e400 is in Python. A whole number may have more digits than Python prints.
        number = value = math.inf if number > 0 else -math.inf
    if not is_number or math.isnan(number):
        raise ValueError(f"{what} must be a number of seconds or a timedelta, not {value!r}.")
    if number < least:
        floor = "0 or more" if least == 0 else f"at least {least:g}"
        raise ValueError(f"{what} must be {floor} seconds, not {value!r}.")
    if number == math.inf and not endless:
        raise ValueError(
            f"{what} must be finite, so that every hold ends by itself, not {value!r}."
        )
    if number > LONGEST and not endless:
        raise ValueError(f"{what} must be at most {LONGEST} seconds, not {value!r}.")
    return float(number)


lease_seconds = partial(seconds, least=SHORTEST_LEASE)
wait_seconds = partial(seconds, endless=True)


def max_hold_seconds(
    value: Duration,
    what: str,
    advice: str = 'Write float("inf") for no end, or switch renewal off.',
) -> float | None:
    """Like ``lease_seconds``, but return None for ``float("inf")``, which means no end.

    0 is refused, because other libraries read it as "no limit".
    """
    try:
        longest = seconds(value, what, least=SHORTEST_LEASE, endless=True)
    except ValueError as error:
        raise ValueError(f"{error} {advice}") from None
    return None if math.isinf(longest) else longest


def flag(value: Any, what: str) -> bool:
    """Return ``value`` if it is True or False, else raise ``TypeError``, which names ``what``."""
    if not isinstance(value, bool):
        raise TypeError(f"{what} must be True or False, not {value!r}.")
    return value


def exit_code(value: Any, what: str) -> int:
    """Return ``value`` if it is an exit code, else raise ``ValueError``, which names ``what``.

    Of a greater number a shell sees the lowest byte, which may be 0.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
        raise ValueError(f"{what} must be a whole number from 0 to 255, not {value!r}.")
    return value


def text(value: Any, what: str) -> str:
    """Return ``value`` if it is a string, else raise ``TypeError``, which names ``what``."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a string, not {value!r}{to_string(value)}.")
    return value


@dataclass(frozen=True, eq=False)
class LockConfig:
    """The settings of one alias of ``LOCKS``. Times are in seconds."""

    alias: str = DEFAULT_LOCK_ALIAS
    backend: str = DEFAULT_BACKEND
    cache: str = "default"
    location: str = ""
    key_prefix: str = "lock"
    lease: float = 10.0
    wait: float = 10.0
    renew: bool = True
    max_hold: float | None = None
    patience: float = 5.0
    warn_of_misuse: bool | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def terms(self) -> Mapping[str, Any]:
        """The defaults of the options that ``LOCKS`` can set."""
        return {
            "wait": self.wait,
            "lease": self.lease,
            "renew": self.renew,
            "max_hold": self.max_hold,
        }

    @property
    def warn(self) -> bool:
        """Whether to warn of misuse: as the entry says, or else if ``DEBUG`` is on."""
        return settings.DEBUG if self.warn_of_misuse is None else self.warn_of_misuse


def read_settings(locks: Any) -> dict[str, LockConfig]:
    """Convert the ``LOCKS`` setting to configs by alias. Raises ``InvalidLockBackend``."""
    if not isinstance(locks, Mapping):
        raise InvalidLockBackend(
            "LOCKS must be a dictionary of aliases, as CACHES is: "
            f'LOCKS = {{"default": {{...}}}}, not {locks!r}.'
        )
    if misplaced := [name for name in locks if name in _READERS]:
        raise InvalidLockBackend(
            f"LOCKS has {misplaced[0]!r} where an alias belongs. Put entries under an alias, "
            f'as in CACHES: LOCKS = {{"default": {{{_written(locks, misplaced)}}}}}.'
        )
    for alias in locks:
        if not isinstance(alias, str):
            raise InvalidLockBackend(
                f'LOCKS has the alias {alias!r}, which is no string. Write one, such as "default".'
            )
    if DEFAULT_LOCK_ALIAS not in locks and (near := suggestion(DEFAULT_LOCK_ALIAS, locks)):
        # Otherwise its locks would be in the default cache, which may be on another server.
        raise InvalidLockBackend(
            f"LOCKS has no {DEFAULT_LOCK_ALIAS!r}, but {near!r}. If that is not misspelt, add "
            f'"{DEFAULT_LOCK_ALIAS}": {{}} for locks in the default cache.'
        )
    configs = {alias: _read_entry(alias, entry) for alias, entry in locks.items()}
    configs.setdefault(DEFAULT_LOCK_ALIAS, LockConfig())
    return configs


def _written(locks: Mapping[Any, Any], names: list[str]) -> str:
    """Return entries as they are in the settings, except those that may contain a password."""
    secret = ("LOCATION", "OPTIONS")
    return ", ".join(
        f'"{name}": {"..." if name in secret else repr(locks[name])}' for name in names
    )


def _read_entry(alias: str, entry: Any) -> LockConfig:
    where = f"LOCKS[{alias!r}]"
    if isinstance(entry, str) and "://" in entry:
        # The value is not shown: it may contain a password.
        raise InvalidLockBackend(
            f'{where} must be a dictionary: write {{"LOCATION": "{entry.partition("://")[0]}://..."'
            "}."
        )
    if not isinstance(entry, Mapping):
        raise InvalidLockBackend(
            f'{where} must be a dictionary such as {{"LEASE": 10}}, not {entry!r}.'
        )
    unknown = sorted(set(entry) - set(_READERS), key=str)
    if unknown:
        near = suggestion(str(unknown[0]).upper(), _READERS)
        advice = f" Did you mean {near!r}?" if near else ""
        if str(unknown[0]).upper() == "TIMEOUT":
            advice = (
                " Write LEASE (how long an unrenewed hold lives), WAIT (how long to wait for it), "
                "or OPTIONS['socket_timeout']."
            )
        raise InvalidLockBackend(
            f"{where} has an unknown entry {unknown[0]!r}. Write one of "
            f"{', '.join(_READERS)}; options of the backend itself go into OPTIONS.{advice}"
        )
    if "CACHE" in entry and "LOCATION" in entry:
        raise InvalidLockBackend(
            f"{where} has both CACHE and LOCATION. Write one of them: the alias of a cache whose "
            "server keeps the locks, or the address of a server."
        )
    fields: dict[str, Any] = {}
    for key, value in entry.items():
        try:
            fields[key.lower()] = _READERS[key](value, f"{where}[{key!r}]")
        except (TypeError, ValueError) as error:
            raise InvalidLockBackend(str(error)) from None
    return LockConfig(alias=alias, **fields)


def _filled_text(value: Any, what: str) -> str:
    # The value is not shown: a location may contain a password.
    if not isinstance(value, str) or not value:
        kind = "an empty one" if value == "" else "None" if value is None else type(value).__name__
        raise ValueError(f"{what} must be a string that is not empty, not {kind}.")
    return value


def _prefix(value: Any, what: str) -> str:
    # Braces would move the hash tag, and so spread the keys of one name over several Cluster slots.
    if "{" in _filled_text(value, what) or "}" in value:
        raise ValueError(f"{what} must not contain braces, not {value!r}.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} must be valid Unicode, not {value!r}.") from None
    return str(value)


def _or_none(read: Callable[[Any, str], object]) -> Callable[[Any, str], object]:
    return lambda value, what: None if value is None else read(value, what)


def _options(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} must be a dictionary of keyword arguments, not {value!r}.")
    return dict(value)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "BACKEND": _filled_text,
    "CACHE": _filled_text,
    "LOCATION": _filled_text,
    "KEY_PREFIX": _prefix,
    "LEASE": lease_seconds,
    "WAIT": wait_seconds,
    "RENEW": flag,
    "MAX_HOLD": _or_none(max_hold_seconds),
    "PATIENCE": wait_seconds,
    "WARN_OF_MISUSE": _or_none(flag),
    "OPTIONS": _options,
}
