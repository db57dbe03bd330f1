"""References of a page to a hold or a name, without the token that proves ownership."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import quote, unquote

from django.utils.crypto import constant_time_compare, salted_hmac

from ..backends.base import Hold
from ..exceptions import readable
from ..handler import lock_backends

__all__ = ["Reference", "address_of", "mark_of", "name_at"]

SALT = "django_redislock.admin.hold"


def mark_of(hold: Hold) -> str:
    """Tells this hold from every other, later one of its name; says nothing about its token."""
    text = json.dumps([hold.name, hold.token])
    return salted_hmac(SALT, text, algorithm="sha256").hexdigest()[:32]


def address_of(alias: str, name: str) -> str:
    """The name of one backend, as the "object id" in addresses and in the admin's log."""
    return f"{quote(alias, safe='')}:{name}"


def name_at(address: str) -> tuple[str, str]:
    """The alias and the name. Raises ``ValueError`` if there is no such backend."""
    quoted, colon, name = address.partition(":")
    alias = unquote(quoted)
    if not colon or not name or alias not in list(lock_backends):
        raise ValueError(address)
    return alias, name


class Reference:
    """The hold that a page showed."""

    def __init__(self, alias: str, name: str, mark: str) -> None:
        self.alias = alias
        self.name = name
        self.mark = mark

    @classmethod
    def to(cls, alias: str, hold: Hold) -> Reference:
        return cls(alias, hold.name, mark_of(hold))

    @classmethod
    def read(cls, value: str) -> Reference:
        """What ``str()`` made. Raises ``ValueError``."""
        parts = json.loads(value)
        if (
            not isinstance(parts, list)
            or len(parts) != 3
            or not all(isinstance(part, str) for part in parts)
            or parts[0] not in list(lock_backends)
            or not parts[1]
        ):
            raise ValueError(value)
        return cls(*parts)

    @classmethod
    def read_all(cls, values: Iterable[str]) -> list[Reference]:
        """Those that make sense, each once."""
        references = []
        for value in dict.fromkeys(values):
            with suppress(ValueError, RecursionError):
                references.append(cls.read(value))
        return references

    def __str__(self) -> str:
        return json.dumps([self.alias, self.name, self.mark])

    @property
    def readable(self) -> str:
        return readable(self.name)

    def find(self) -> Hold | None:
        """The hold, if it is live and the same. Raises ``LockUnavailable``."""
        holds, _ = lock_backends[self.alias].inspect(self.name)
        for hold in holds:
            if constant_time_compare(mark_of(hold), self.mark):
                return hold
        return None
