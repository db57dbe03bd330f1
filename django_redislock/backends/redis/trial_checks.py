"""System check that takes locks for a moment, since a server may refuse them for many reasons."""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress

from django.core.checks import CheckMessage, Error

from ...exceptions import LockError, LockUnavailable
from ...holder import Holder
from ..base import BaseLockBackend, Claim, Extension
from .error_texts import described
from .keys import BUCKETS, bucket_of
from .server_checks import DO_THAT, what_to_do
from .sources.source import Source

__all__ = ["check_trial"]

# Seconds. What an interrupted check leaves behind ends by itself.
LEASE = 5.0

# The ids of messages that say why the trial would fail, or that the server could not be asked.
TELLING = frozenset(
    f"locks.{number}" for number in ["E002", "E005", "E006", "E007", "W001", "W008"]
)


def check_trial(
    backend: BaseLockBackend, source: Source, found: Sequence[CheckMessage]
) -> Iterator[CheckMessage]:
    """Try the verbs with names that nobody else uses, one on each node.

    ``found``: the messages of the other checks.
    """
    if TELLING.intersection(message.id for message in found):
        return
    tried: set[Hashable] = set()
    for name in _one_of_each_bucket():
        if backend.node_of(name) in tried:
            continue
        try:
            _try(backend, name)
        except LockError as error:
            yield _refused(backend, source, error)
            return
        tried.add(backend.node_of(name))


def _one_of_each_bucket() -> list[str]:
    names: dict[int, str] = {}
    check = f"django_redislock.check:{secrets.token_hex(8)}"
    number = 0
    while len(names) < BUCKETS:
        name = f"{check}:{number}"
        names.setdefault(bucket_of(name), name)
        number += 1
    return list(names.values())


def _try(backend: BaseLockBackend, name: str) -> None:
    """Acquire, queue, extend, hand over and release, as a mutex and then as a semaphore."""
    holder = Holder(what="manage.py check --deploy").pack()
    for limit in (1, 2):
        first, second = (Claim(name, secrets.token_hex(16), limit, LEASE, holder) for _ in range(2))
        try:
            backend.acquire(first)
            backend.listen(name, LEASE)
            backend.acquire(second, LEASE)
            backend.extend(Extension(name, first.token, LEASE))
            backend.force_release(name, first.token)
            backend.acquire(second, LEASE)
            backend.release(name, second.token)
        finally:
            for one in (first, second):
                with suppress(LockUnavailable):  # what is left ends by itself
                    backend.cancel(name, one.token)


def _refused(backend: BaseLockBackend, source: Source, error: LockError) -> CheckMessage:
    text, hint = str(error), DO_THAT
    if isinstance(cause := error.__cause__, Exception):
        text = described(source.where, source.at, cause)
        hint = what_to_do(backend.config, cause)
    return Error(
        f"LOCKS[{backend.alias!r}]: no lock can be acquired and released. {text}",
        hint=hint,
        id="locks.E009",
    )
