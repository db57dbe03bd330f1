"""Configuration of the model: its clients, its possible faults, and its guards."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FAULTS", "GUARDS", "TWO_IN_ONE_PROCESS", "Terms"]

# The possible faults. Each is a step of the model that counts against ``Terms.faults``.
FAULTS = (
    "lost",  # a message is lost; a client that waits for the reply learns that none will come
    "slow",  # a message takes longer than a client waits for its reply
    "twice",  # a request is sent again after its connection broke, or a message arrives twice
    "crash",  # a process ends at once; the server notices
    "pause",  # a process freezes, and may go on later
    "unlink",  # the wake-up connection of a process breaks
    "interrupt",  # an exception ends an attempt between two steps
    "force",  # an operator looks at a hold, and later releases it by force
    "flush",  # the server loses all data
    "jump",  # the server's clock is set forward
)

# Every precaution of the protocol. The mutation test takes each out and expects a violation.
GUARDS = (
    # The scripts.
    "room is counted before a grant",
    "the lowest limit of all holders counts",
    "new claims queue behind waiters",
    "a claim that asks again keeps its position",
    "an own hold is found again",
    "an acquire never shortens the own hold",
    "expired holds are dropped before a grant",
    "a claim whose wait is over is passed over",
    "a silent waiter is passed over",
    "a hand-over holds for the grant lease only",
    "waiters of a silent process queue behind others",
    "release compares the token",
    "release hands over",
    "extend compares the token",
    "extend refuses what has expired",
    "renewal never shortens a lease",
    "cancel ends the hold",
    "cancel leaves the queue",
    "cancel hands over",
    "cancel marks late claims",
    "giving a turn back spares an answered hold",
    "an answer is noted in the record",
    "force-release compares the token",
    "force-release hands over",
    "fences exceed the counter",
    "fences exceed the clock",
    # The clients.
    "a lease counts from before the request",
    "a turn ends when the server says",
    "a turn holds no longer than the grant lease",
    "a turn of a present hold is kept",
    "a waiter looks again by itself",
    "release stops believing first",
    "a shorter lease is believed at once",
    "a renewal does not undo a later extension",
    "a renewal during an extension is not believed",
    "a lease that may become shorter is not renewed",
    "an attempt that went unanswered ends with a mark",
)


class Terms(NamedTuple):
    """One configuration. Lengths of time are in ticks."""

    clients: int = 3
    names: int = 1
    attempts: int = 1  # of each client
    faults: int = 0  # how many may happen in one run
    kinds: tuple[str, ...] = ()  # which of FAULTS
    limits: tuple[int, ...] = (1, 1, 1)  # of each client
    processes: tuple[int, ...] = (0, 1, 2)  # of each client: those of one share the wake-up link
    lease: int = 2
    grant_lease: int = 1
    wait: int = 2  # how long an attempt queues, if it does
    ways: tuple[str, ...] = ("once", "wait")  # in which a client may ask
    extensions: tuple[int, ...] = ()  # leases that a holder may ask for beside renewals
    slow: int = 1  # how long a slow message may still be under way
    jump: int = 1  # how far the server's clock is set
    without: frozenset[str] = frozenset()  # the guards that are left out

    @property
    def mark(self) -> int:
        """How long the mark of a cancelled claim lasts: longer than any of its messages."""
        return self.slow + 1

    def has(self, guard: str) -> bool:
        """Whether a guard is in place."""
        assert guard in GUARDS, guard
        return guard not in self.without

    def client_of(self, token: int) -> int:
        """The client of a token: each attempt of each client has its own token."""
        return token // self.attempts


# One process has two waiters and may freeze, while a third waits in another process.
TWO_IN_ONE_PROCESS = Terms(
    processes=(0, 0, 1), kinds=("pause",), faults=1, attempts=2, ways=("wait",), wait=3
)
