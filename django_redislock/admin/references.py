"""References from a page to a hold or a name, without the token that proves ownership."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote, unquote

from django.utils.crypto import salted_hmac

from ..backends.base import BaseLockBackend, Hold
from ..exceptions import LockUnavailable, readable
from ..handler import lock_backends
from ..operations.asking import Silent, ask_all, by_server
from ..operations.selection import Found

__all__ = ["Reference", "address_of", "find_all", "name_at"]

SALT = "django_redislock.admin.hold"


def address_of(alias: str, name: str) -> str:
    """Return the "object id" of a name in one backend, for URLs and the admin's log."""
    return f"{quote(alias, safe='')}:{name}"


def name_at(address: str) -> tuple[str, str]:
    """Return the alias and the name. Raises ``ValueError`` if there is no such backend."""
    quoted, colon, name = address.partition(":")
    alias = unquote(quoted)
    if not colon or not name or alias not in list(lock_backends):
        raise ValueError(address)
    return alias, name


class Reference(NamedTuple):
    """The hold that a page showed. The mark is a digest that distinguishes it from later holds of
    its name, but does not reveal its token.
    """

    alias: str
    name: str
    mark: str

    @classmethod
    def to(cls, found: Found) -> Reference:
        text = json.dumps([found.hold.name, found.hold.token])
        mark = salted_hmac(SALT, text, algorithm="sha256").hexdigest()[:32]
        return cls(found.alias, found.hold.name, mark)

    @classmethod
    def read(cls, value: str) -> Reference:
        """Parse the result of ``str()``. Raises ``ValueError``."""
        parts = json.loads(value)
        if (
            not isinstance(parts, list)
            or len(parts) != 3
            or not all(isinstance(part, str) for part in parts)
            or parts[0] not in list(lock_backends)
            or not parts[1]
        ):
            raise ValueError(value)
        parts[1].encode()  # JSON allows lone surrogates; a name does not
        return cls(*parts)

    @classmethod
    def read_all(cls, values: Iterable[str]) -> list[Reference]:
        """Parse the valid values, each of them once."""
        references = []
        for value in dict.fromkeys(values):
            with suppress(ValueError, RecursionError):
                references.append(cls.read(value))
        return references

    def __str__(self) -> str:
        return json.dumps(self)

    @property
    def readable(self) -> str:
        return readable(self.name)


def find_all(references: Iterable[Reference]) -> tuple[dict[Reference, Found], list[Silent]]:
    """Return the live holds of these names, and the backends that failed, at least partly."""
    names: dict[str, dict[str, None]] = {}
    for one in references:
        names.setdefault(one.alias, {})[one.name] = None
    failed: list[Silent] = []

    def holds(alias: str, backend: BaseLockBackend) -> list[Hold]:
        servers = by_server(backend, names[alias], str)
        held: list[Hold] = []
        errors: list[LockUnavailable] = []
        for some in servers:
            try:
                held += backend.look_up(backend.entries_of(some))
            except LockUnavailable as error:
                errors.append(error)
        if errors:
            failed.append(Silent(alias, errors[0], partly=len(errors) < len(servers)))
        return held

    answers, silent = ask_all(list(names), holds)
    found = [Found(alias, hold) for alias, held in answers.items() for hold in held]
    return {Reference.to(one): one for one in found}, [*silent, *failed]
