"""Records of the model of a process, and its server."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import GeneratorType

from .schedules import Program

__all__ = ["LEASE", "Attempt", "Handle", "Hold", "Request", "Server"]

LEASE = 3


@dataclass(eq=False)
class Handle:
    """One attempt of a user to hold the name, as `lock(name)` returns it."""

    name: str
    held: tuple[Hold, str] | None = None  # the hold and this handle's need of it, in one store
    granted: bool = False  # what the user knows: acquired, and no release begun
    dropped: bool = False  # no program refers to it any more


@dataclass(eq=False)
class Hold:
    """The name held with one token. Passive."""

    token: str
    owner: str
    claims: dict[str, tuple[int, bool]] = field(default_factory=dict)  # ends, and whether replied
    needs: dict[str, Handle] = field(default_factory=dict)
    leavers: dict[str, int] = field(default_factory=dict)
    how: dict[str, tuple[str, str]] = field(default_factory=dict)  # how it ended, and by whom
    reported: list[str] = field(default_factory=list)

    @property
    def needed(self) -> bool:
        return any(not handle.dropped for handle in self.needs.values())

    @property
    def ends(self) -> int:
        """The earliest time at which the lease may end, whichever request came last."""
        return min(ends for ends, _ in self.claims.values())


@dataclass(eq=False)
class Attempt:
    """One run of acquire or release by one handle."""

    name: str
    kind: str
    handle: Handle
    hold: Hold
    need: str
    failed: bool = False
    steps: list[Program] = field(default_factory=list)

    @property
    def over(self) -> bool:
        if self.failed or not self.steps:
            return self.failed
        steps = self.steps[0]
        return isinstance(steps, GeneratorType) and steps.gi_frame is None


@dataclass(eq=False)
class Request:
    """A request to the server, which is in flight until the network delivers it."""

    verb: str
    token: str
    lease: int = 0
    awaited: bool = False  # by the caller that sent it
    reply: list[bool | str] = field(default_factory=list)


class Server:
    """The name on the server: each request is one step."""

    def __init__(self) -> None:
        self.token = ""
        self.ends = 0
        self.queue: list[str] = []
        self.cancelled: set[str] = set()

    def answer(self, request: Request, now: int) -> bool | str:
        verbs = {
            "acquire": self.acquire,
            "release": self.release,
            "cancel": self.cancel,
            "extend": self.extend,
        }
        return verbs[request.verb](request.token, request.lease, now)

    def look(self, now: int) -> None:
        if self.token and self.ends <= now:
            self.hand_over(now)

    def hand_over(self, now: int) -> None:
        self.token, self.ends = (self.queue.pop(0), now + LEASE) if self.queue else ("", 0)

    def acquire(self, token: str, lease: int, now: int) -> bool | str:
        self.look(now)
        if token in self.cancelled:
            return False
        if not self.token:
            self.token, self.ends = token, now + lease
        if self.token == token:
            return True
        if token not in self.queue:
            self.queue.append(token)
        return "queued"

    def release(self, token: str, lease: int, now: int) -> bool:
        self.look(now)
        if token in self.queue:
            self.queue.remove(token)
        if self.token != token:
            return False
        self.hand_over(now)
        return True

    def cancel(self, token: str, lease: int, now: int) -> bool:
        self.cancelled.add(token)
        return self.release(token, lease, now)

    def extend(self, token: str, lease: int, now: int) -> bool:
        self.look(now)
        if self.token != token:
            return False
        self.ends = now + lease
        return True
