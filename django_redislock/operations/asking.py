"""Queries to several backends at once, so that a hanging backend does not delay the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from ..backends.base import BaseLockBackend
from ..exceptions import InvalidLockBackend, LockUnavailable
from ..handler import lock_backends

__all__ = ["Silent", "ask_all"]

T = TypeVar("T")


@dataclass(frozen=True)
class Silent:
    """A backend whose locks cannot be listed."""

    alias: str
    error: LockUnavailable | InvalidLockBackend


def ask_all(
    aliases: Sequence[str], ask: Callable[[str, BaseLockBackend], T]
) -> tuple[dict[str, T], list[Silent]]:
    """Return the answers by alias, and the backends that gave none, in the order of the aliases."""

    def answer(alias: str) -> T | Silent:
        try:
            return ask(alias, lock_backends[alias])
        except (LockUnavailable, InvalidLockBackend) as error:
            return Silent(alias, error)

    if len(aliases) > 1:
        with ThreadPoolExecutor(len(aliases), "django_redislock.ask") as threads:
            answers = list(threads.map(answer, aliases))
    else:
        answers = list(map(answer, aliases))
    given = {
        alias: one
        for alias, one in zip(aliases, answers, strict=True)
        if not isinstance(one, Silent)
    }
    return given, [one for one in answers if isinstance(one, Silent)]
