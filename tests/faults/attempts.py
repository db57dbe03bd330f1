"""Attempts: the events of a history that belong together."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.history import Event

ANSWERS = ("acquired", "gave_up", "failed", "interrupted", "lost")


@dataclasses.dataclass
class Attempt:
    """One attempt to hold one name, and the time for which it certainly held it."""

    asked: Event | None = None
    queued: Event | None = None
    acquired: Event | None = None
    answer: Event | None = None  # the first of ANSWERS
    held_from: int = 0
    held_to: int = 0

    def add(self, event: Event) -> None:
        """Add the next event of this attempt."""
        if event.kind == "asked":
            self.asked = event
        elif event.kind == "queued":
            self.queued = event
        elif event.kind == "acquired":
            self.acquired = event
            self.held_from = self.held_to = event.at
        elif event.kind in ("held", "released") and self.acquired:
            self.held_to = event.at
        if event.kind in ANSWERS and self.answer is None:
            self.answer = event

    def end(self, at: int) -> None:
        """Note that the hold was not certain any more from then on, whatever its handle said."""
        self.held_to = min(self.held_to, at)
        if self.held_to <= self.held_from:
            self.acquired = None


def attempts_of(events: list[Event]) -> list[Attempt]:
    """Return the attempts for one name, in the order of their first events.

    A token that asks or acquires again belongs to a reused handle, and starts a new attempt.
    """
    attempts: list[Attempt] = []
    of_token: dict[str, Attempt] = {}
    forced = {event.fence: event.at for event in reversed(events) if event.kind == "forced"}
    for event in events:
        if not event.token:
            continue
        attempt = of_token.get(event.token)
        if attempt is None or _begins_again(attempt, event):
            attempt = of_token[event.token] = Attempt()
            attempts.append(attempt)
        attempt.add(event)
    for attempt in attempts:
        if attempt.acquired and attempt.acquired.fence in forced:
            attempt.end(forced[attempt.acquired.fence])
    return attempts


def who(event: Event) -> str:
    """Describe an attempt by one of its events."""
    return f"{event.token[:24]} of {event.who} at {event.at / 1e9:.6f}"


def _begins_again(attempt: Attempt, event: Event) -> bool:
    return event.kind == "asked" or (event.kind == "acquired" and attempt.acquired is not None)
