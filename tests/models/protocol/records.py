"""Records of the model's server: holds and claims that wait."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

__all__ = ["LAST", "TICK", "Hold", "Waiting", "replaced", "without"]

# How much the clock rises in a tick, in numbers: more than can be granted within one.
TICK = 1_000_000
# The arrival of a claim that has not queued.
LAST = 1_000_000


class Hold(NamedTuple):
    """A hold of a name. ``answered``: an acquire was answered with it. ``confirmed``: or extended
    since it was handed over."""

    token: int
    ends: int
    fence: int
    limit: int
    answered: bool
    confirmed: bool


class Waiting(NamedTuple):
    """A claim in a queue. ``arrival`` is for the checks alone: it is never given anew."""

    token: int
    deadline: int
    limit: int
    arrival: int


T = TypeVar("T")
R = TypeVar("R", Hold, Waiting)


def replaced(values: tuple[T, ...], place: int, value: T) -> tuple[T, ...]:
    return (*values[:place], value, *values[place + 1 :])


def without(records: tuple[R, ...], token: int) -> tuple[R, ...]:
    return tuple(record for record in records if record.token != token)
