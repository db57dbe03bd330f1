"""Queries to several backends at once, so that a hanging backend does not delay the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from ..backends.base import BaseLockBackend
from ..exceptions import InvalidLockBackend, LockUnavailable
from ..handler import lock_backends

__all__ = ["Silent", "ask_all", "by_server"]

T = TypeVar("T")


@dataclass(frozen=True)
class Silent:
    """A backend whose locks cannot be listed, or only those of some of its servers (``partly``)."""

    alias: str
    error: LockUnavailable | InvalidLockBackend
    partly: bool = False


def ask_all(
    aliases: Sequence[str], ask: Callable[[str, BaseLockBackend], T]
) -> tuple[dict[str, T], list[Silent]]:
    """Return the answers by alias, and the backends that gave none, in the order of the aliases."""

    def answer(alias: str, future: Future[T | Silent]) -> None:
        try:
            future.set_result(ask(alias, lock_backends[alias]))
        except (LockUnavailable, InvalidLockBackend) as error:
            future.set_result(Silent(alias, error))
        except BaseException as error:  # noqa: BLE001 - raised by result()
            future.set_exception(error)

    asked: list[tuple[str, Future[T | Silent]]] = [(alias, Future()) for alias in aliases]
    for one in asked:
        if len(asked) > 1:
            # Not a pool, whose threads would delay a Ctrl-C until a hanging backend times out.
            threading.Thread(
                target=answer, args=one, name="django_redislock.ask", daemon=True
            ).start()
        else:
            answer(*one)
    given: dict[str, T] = {}
    silent: list[Silent] = []
    for alias, future in asked:
        result = future.result()
        if isinstance(result, Silent):
            silent.append(result)
        else:
            given[alias] = result
    return given, silent


def by_server(
    backend: BaseLockBackend, items: Iterable[T], name_of: Callable[[T], str]
) -> list[list[T]]:
    """Return the items in groups, one for each server of the backend that has their names.

    A server that does not answer then only keeps its own names from being asked for.
    """
    servers: dict[Hashable, list[T]] = {}
    for one in items:
        servers.setdefault(backend.node_of(name_of(one)), []).append(one)
    return list(servers.values())
