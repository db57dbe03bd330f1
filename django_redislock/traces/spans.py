"""Base of the tracers: receivers of the signals that create spans when these end."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ..clock import wall_time
from ..signals import Listener

__all__ = ["HOLD", "WAIT", "Span", "Tracer"]

WAIT, HOLD = "lock.wait", "lock.hold"


class Span(NamedTuple):
    """A wait or a hold that has ended. Times are in seconds since 1970, ``wait`` is in seconds.

    ``context``: the place in a trace where the lock was acquired. ``outcome``: ``acquired`` or
    ``busy`` for a wait, ``released`` or ``lost`` for a hold. The name of the lock is not among the
    attributes: there are many names, and they may identify a person.
    """

    name: str
    context: Any
    start: float
    end: float
    alias: str
    family: str
    outcome: str
    wait: float

    @property
    def attributes(self) -> dict[str, str | float]:
        return {
            "django_redislock.alias": self.alias,
            "django_redislock.family": self.family,
            "django_redislock.outcome": self.outcome,
            "django_redislock.wait": self.wait,
        }


class _Beginning(NamedTuple):
    """The data of a hold that are kept until it ends."""

    context: Any
    start: float
    wait: float


class Tracer(Listener):
    """Base class of the tracers.

    A span is created when its wait or hold is over, as a child of the span that was current when
    the lock was acquired. It is never current itself. So a hold may end in another thread, or
    never.
    """

    def __init__(self) -> None:
        # By hold. A hold that is dropped or handed to another process disappears by itself.
        self._holds: WeakKeyDictionary[Any, _Beginning] = WeakKeyDictionary()

    @abstractmethod
    def current(self) -> Any:
        """Return the place in a trace where this code runs, or None outside of any trace."""

    @abstractmethod
    def make(self, span: Span) -> None:
        """Create the span, which has ended. ``span.context`` is what ``current`` returned."""

    def _acquired(self, *, lock: Any, waited: float, **kwargs: Any) -> None:
        self._waited(lock, waited, "acquired")

    def _contended(self, *, lock: Any, waited: float, acquired: bool, **kwargs: Any) -> None:
        if not acquired:
            self._waited(lock, waited, "busy")

    def _waited(self, lock: Any, waited: float, outcome: str) -> None:
        context, now = self.current(), wall_time()
        if context is None:
            return
        self.make(_span(WAIT, context, now - waited, now, lock, outcome, waited))
        if outcome == "acquired":
            self._holds[lock._hold] = _Beginning(context, now, waited)

    def _released(self, *, lock: Any, **kwargs: Any) -> None:
        self._ended(lock, lock._hold, "released")

    def _lost(self, *, lock: Any, **kwargs: Any) -> None:
        # This runs in a thread of its own, so the handle may have a new hold by now.
        for reference in self._holds.keyrefs():
            hold = reference()
            if hold is not None and hold.lost_reason and hold.lock_id == lock._hold.lock_id:
                self._ended(lock, hold, "lost")

    def _ended(self, lock: Any, hold: Any, outcome: str) -> None:
        began = self._holds.pop(hold, None)
        if began is not None:
            context, start, wait = began
            self.make(_span(HOLD, context, start, wall_time(), lock, outcome, wait))


def _span(
    name: str, context: Any, start: float, end: float, lock: Any, outcome: str, wait: float
) -> Span:
    return Span(name, context, start, end, lock.backend.alias, lock.family, outcome, wait)
