"""Simulation of rare events in the life of a lock, and assertions, for any backend."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from ..backends.base import SHARED, Busy, Claim, Hold, Holder
from ..conf import DEFAULT_LOCK_ALIAS, Duration, lease_seconds
from ..exceptions import LockUnavailable, readable
from ..handler import lock_backends
from ..local.registry import registry
from ..local.renewal import renewal
from ..names import check_name
from ..options import check_options

__all__ = [
    "HeldElsewhere",
    "assert_locked",
    "assert_not_locked",
    "expire",
    "held_elsewhere",
    "lose",
]

# Long enough for a debugger. A hold left on a server ends after this time, too (seconds).
LEASE = 600.0

# How many of the held locks a message names.
NAMED = 10


class HeldElsewhere:
    """A hold of another holder, without renewal. Made by ``held_elsewhere()``."""

    def __init__(self, claim: Claim, using: str) -> None:
        self.name = claim.name
        self.token = claim.token
        self.fence = 0
        self._claim = claim
        self._using = using
        self._was_acquired = False

    def __repr__(self) -> str:
        return f"<HeldElsewhere {self.name!r}>"

    def acquire(self) -> None:
        """Acquire the lock. Raises ``AssertionError`` if it is held already."""
        reply = lock_backends[self._using].acquire(self._claim)
        if isinstance(reply, Busy):
            by = f", by {readable(reply.holder)}" if reply.holder else ""
            raise AssertionError(f"{self.name!r} cannot be held elsewhere: it is held already{by}.")
        self.fence = reply.fence
        self._was_acquired = True

    def release(self) -> None:
        """End the hold, if it has not ended; the first waiter then holds the lock."""
        self._was_acquired = False
        lock_backends[self._using].release(self.name, self.token)

    def __enter__(self) -> HeldElsewhere:
        if not self._was_acquired:  # the fixture has acquired it already
            self.acquire()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(LockUnavailable):  # a test may have stopped the server
            self.release()


def held_elsewhere(
    name: str,
    *,
    using: str = DEFAULT_LOCK_ALIAS,
    lease: Duration = LEASE,
    limit: int = 1,
    shared: bool = False,
    what: str = "another.process",
    label: str = "elsewhere",
) -> HeldElsewhere:
    """Return a context manager in which another holder has the name.

    ``lease`` (seconds or a timedelta) is not renewed, and the name is free when it has ended. The
    other options are those of ``lock()``.
    """
    check_options({"limit": limit, "shared": shared})
    holder = Holder(host="another-host", pid=1, thread="MainThread", what=what, label=label)
    length = lease_seconds(lease, "lease")
    claim = Claim(
        check_name(name), secrets.token_hex(16), SHARED if shared else limit, length, holder.pack()
    )
    return HeldElsewhere(claim, using)


def assert_locked(name: str, *, using: str = DEFAULT_LOCK_ALIAS) -> Sequence[Hold]:
    """Raise ``AssertionError`` unless the name is held. Return its holds."""
    holds = _holds(name, using)
    if not holds:
        raise AssertionError(f"{name!r} is not locked; {_held_instead(using)}.")
    return holds


def assert_not_locked(name: str, *, using: str = DEFAULT_LOCK_ALIAS) -> None:
    """Raise ``AssertionError`` if the name is held."""
    holds = _holds(name, using)
    if holds:
        by = ", and by ".join(readable(hold.holder) for hold in holds)
        raise AssertionError(f"{name!r} is locked, by {by}.")


def expire(name: str, *, using: str = DEFAULT_LOCK_ALIAS) -> None:
    """End the current holder's lease now, as if its time had passed.

    Handles in this process see the loss, and ``on_lost`` is called, before this returns; those of
    other processes see it at their next renewal. The first waiter then holds the lock. Raises
    ``AssertionError`` if the name is not held.
    """
    # A shorter lease is not enough: waiters know the end of the current one and sleep until then.
    _end(name, using, "its lease ran out")


def lose(name: str, *, using: str = DEFAULT_LOCK_ALIAS) -> None:
    """Release the name by force, as the admin or ``clearlocks`` do.

    Handles in this process see the loss, and ``on_lost`` is called, before this returns; those of
    other processes see it at their next renewal. The first waiter then holds the lock. Raises
    ``AssertionError`` if the name is not held.
    """
    _end(name, using, "it was released by force")


def _holds(name: str, using: str) -> Sequence[Hold]:
    return lock_backends[using].inspect(check_name(name))[0]


def _end(name: str, using: str, reason: str) -> None:
    backend = lock_backends[using]
    for hold in assert_locked(name, using=using):
        for ours in registry.find((backend.place, name), hold.token):
            # In this thread, unlike a real loss, so that ``on_lost`` has run when the test
            # continues.
            if ours.decide():
                ours.lose(reason)
                registry.holds.pop(ours, None)
                renewal.notify_lost(ours)
        backend.force_release(name, hold.token)


def _held_instead(using: str) -> str:
    page = lock_backends[using].list(0, NAMED)
    if not page.total:
        return "nothing is"
    names = ", ".join(repr(readable(hold.name)) for hold in page.holds)
    return f"held are {names}{', ...' if page.total > NAMED else ''}"
