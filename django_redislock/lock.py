"""A handle on a lock: acquire, extend, release, for threads and for coroutines."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import NamedTuple

from .backends.base import BaseLockBackend, Busy, Claim, Holder
from .conf import SHORTEST_LEASE, Duration, seconds
from .exceptions import LockError, LockNotAcquired, LockUnavailable, add_note
from .faces import TwoFaced
from .holding import misuse
from .holding.arrears import arrears
from .holding.clock import LeaseClock
from .holding.contexts import contexts
from .holding.lost import Lost
from .holding.tenure import Tenure
from .identity import packed_holder
from .metrics import recording
from .metrics.families import family_of
from .signals import lock_acquired, lock_contended
from .steps import Steps, aperform, perform
from .transactions import tie_to_transactions
from .waiting import attempt

__all__ = ["Lock", "Terms"]

logger = logging.getLogger("django_redislock")

# How long (seconds) an acquire that nobody waits for any more may still be on its way.
LATE = 60.0


class Terms(NamedTuple):
    """How a handle asks for its lock and holds it. Times are in seconds."""

    wait: float
    lease: float
    renew: bool
    max_hold: float | None
    limit: int
    reentrant: bool
    what: str
    label: str
    on_lost: Callable[[Lock], object] | None


class Lock(TwoFaced):
    """A handle: one attempt after another to hold one name, each with a token of its own.

    Made by ``lock()``. It may pass from thread to thread, but not to another process: that one
    makes its own handle with ``lock(name, token=held.token)``.
    """

    def __init__(
        self, name: str, backend: BaseLockBackend, terms: Terms, token: str | None = None
    ) -> None:
        self.name = name
        self.backend = backend
        self.wait = terms.wait
        self._terms = terms
        self._token = token
        self._busy: Busy | None = None
        self._tried = self._has_share = False
        self._tenure = self._new_tenure()

    @property
    def token(self) -> str:
        """What proves the ownership of the present attempt: 128 random bits in hexadecimal."""
        return self._tenure.token

    @property
    def limit(self) -> int:
        """How many may hold the name at once."""
        return self._terms.limit

    @property
    def family(self) -> str:
        """What it is counted under: the template of the name, or the name without its numbers."""
        return family_of(self.name)

    @property
    def fence(self) -> int:
        """A number above those of all holds of this name before; 0 while nothing was granted."""
        return self._tenure.fence

    @property
    def lost(self) -> Lost:
        """Set when the hold is lost; threads ``wait()`` for it, coroutines ``await`` it."""
        return self._tenure.lost

    @property
    def held(self) -> bool:
        """Whether this process holds the lock by this handle, by its own clock."""
        return self._has_share and self._tenure.alive

    def remaining(self) -> float:
        """Seconds until the lease ends unless it is renewed, by the handle's own clock.

        It counts from before the request left, so it is never more than the backend's own count.
        """
        return self._tenure.clock.remaining() if self._has_share else 0.0

    def check(self) -> None:
        """Raise ``LockLost``, or ``LockError`` before any hold, unless it is held. Asks nobody."""
        if not self.held:
            raise self._not_held()

    def owned(self) -> bool:
        """Ask the backend whether this token holds the lock. Raises ``LockUnavailable``."""
        return any(hold.token == self.token for hold in self.backend.inspect(self.name)[0])

    async def aowned(self) -> bool:
        """The twin of ``owned``."""
        holds, _ = await self.backend.ainspect(self.name)
        return any(hold.token == self.token for hold in holds)

    def keep_for(self, least: Duration) -> None:
        """Let the hold last for ``least`` seconds from now, though it be released earlier.

        Nobody else gets it before that: a job that takes less than the clocks of two servers differ
        does not run twice. Raises as ``check()`` does.
        """
        self.check()
        self._tenure.keep_until = monotonic() + seconds(least, "least")

    def detach(self, lease: Duration | None = None) -> str:
        """Let the hold go on without this handle; return the token by which others act on it.

        It is not renewed any more: it ends ``lease`` seconds from now (by default when its present
        lease does), unless ``lock(name, token=...)`` releases it before, or acquires it and so
        renews it. Raises as ``extend()`` does, and ``LockError`` if other handles share the hold.
        """
        return perform(self.detaching(lease))

    async def adetach(self, lease: Duration | None = None) -> str:
        """The twin of ``detach``."""
        return await aperform(self.detaching(lease))

    @property
    def holder(self) -> Holder | None:
        """Who holds the lock: this handle while it does, else who did at its last attempt."""
        if self.held:
            return Holder.unpack(self._packed_holder())
        return self._busy.holder if self._busy else None

    def __repr__(self) -> str:
        state = "lost" if self.lost else "held" if self.held else "not held"
        return f"<Lock {self.name!r} {state}>"

    def __del__(self) -> None:
        if getattr(self, "_has_share", False) and self.held:
            warnings.warn(
                f"{self!r} was dropped without release(); nobody renews it now, and it ends in "
                f"{self.remaining():.1f} s.",
                ResourceWarning,
                source=self,
                stacklevel=1,
            )

    def acquiring(self, wait: Duration | None) -> Steps[bool]:
        patience = self.wait if wait is None else seconds(wait, "wait", endless=True)
        if self.held:
            raise LockError.of(
                self.name, "is held by this very handle. Release it first, or make another handle"
            )
        if (joined := self._joinable()) is not None:
            self._take_share(joined)
            return True
        if self.backend.config.warn:
            misuse.look(self, patience)
        return (yield from self._trying(patience))

    def _joinable(self) -> Tenure | None:
        """A hold of this name that this thread or task has, and that this handle may share."""
        for tenure in contexts.held_here(self._tenure.subject):
            if tenure.admits(self._tenure) and (self._terms.reentrant or tenure.released):
                return tenure
        return None

    def _trying(self, patience: float) -> Steps[bool]:
        if self._tried:
            self._tenure = self._new_tenure()
        self._has_share, self._tried, tenure = False, True, self._tenure
        length, holder = tenure.clock.length, self._packed_holder()
        claim = Claim(self.name, tenure.token, tenure.limit, length, holder)
        began = monotonic()
        try:
            grant, busy = yield from attempt(self.backend, claim, patience)
            if grant is not None:
                tenure.begin(grant)
                self._take_share(tenure)
                tie_to_transactions(self, tenure, whole=False)
            self._busy, waited = busy, monotonic() - began
            if busy is not None:
                told = {"holder": busy.holder, "waited": waited, "acquired": grant is not None}
                yield lock_contended.telling(Lock, lock=self, **told)
            recording.attempted(self, waited, acquired=grant is not None)
            if grant is not None and lock_acquired.receivers:
                yield lock_acquired.telling(Lock, lock=self, waited=waited)
        except BaseException:
            # Whether it was granted is not known: cancelled by token, it is not in any case. But a
            # token that was given may be that of a hold which is not ours to end.
            self._has_share = False
            tenure.forget()
            if self._token is None:
                cancel = partial(self.backend.cancel, self.name, tenure.token, LATE)
                arrears.owe(self.backend, cancel, until=monotonic() + claim.lease)
            raise
        return grant is not None

    def releasing(self) -> Steps[None]:
        tenure = self._tenure
        if self._is_others():
            yield from tenure.ending(self)
            return
        if not self.held:
            raise self._not_held()
        self._has_share = False
        if not tenure.tied:
            tie_to_transactions(self, tenure, whole=True)
        yield from tenure.leaving(self)

    def extending(self, lease: Duration | None) -> Steps[None]:
        length = seconds(
            self._tenure.clock.length if lease is None else lease, "lease", least=SHORTEST_LEASE
        )
        if not self.held and not self._is_others():
            raise self._not_held()
        yield from self._tenure.extending(length)

    def detaching(self, lease: Duration | None) -> Steps[str]:
        self.check()
        if self._tenure.shares > 1:
            raise LockError.of(self.name, "is held by other handles here too, which need it still")
        if lease is not None:
            yield from self.extending(lease)
        self._has_share = False
        self._tenure.forget()
        return self.token

    def leaving(self, error: BaseException | None) -> Steps[None]:
        # Released in the block; or this is a forked child, which holds nothing of its parent's.
        if not self._has_share or self._tenure.inherited:
            return
        try:
            yield from self.releasing()
        except LockUnavailable as unavailable:
            # The work was done under the lock, and the hold ends by itself.
            logger.warning("%s It ends by itself when its lease is over.", unavailable)
        except LockError as lost:
            if error is None:
                raise
            add_note(error, lost)

    def busy_error(self, wait: float) -> LockNotAcquired:
        if self._busy is None:
            return LockNotAcquired.after(self.name, wait, None, None)
        return LockNotAcquired.after(self.name, wait, self._busy.holder, self._busy.retry_in)

    def tell_lost(self) -> None:
        """The hold was lost: call ``on_lost``."""
        if self._has_share and self._terms.on_lost is not None:
            try:
                self._terms.on_lost(self)
            except BaseException:
                logger.exception("on_lost of the lock %r failed", self.name)

    def _new_tenure(self) -> Tenure:
        terms = self._terms
        token = self._token or os.urandom(16).hex()
        clock = LeaseClock(terms.lease, renew=terms.renew, max_hold=terms.max_hold)
        return Tenure(self.backend, self.name, token, terms.limit, clock)

    def _packed_holder(self) -> str:
        terms = self._terms
        return packed_holder(terms.what, terms.label, terms.max_hold if terms.renew else 0.0)

    def _take_share(self, tenure: Tenure) -> None:
        self._tenure = tenure
        self._tried = self._has_share = True
        tenure.share(self)

    def _is_others(self) -> bool:
        """Whether this acts, by a given token, on a hold that another handle acquired."""
        return self._token is not None and not self._has_share

    def _not_held(self) -> LockError:
        if not self._has_share:
            return LockError.of(self.name, "is not held by this handle. Acquire it first")
        if self._tenure.inherited:
            return LockError.of(
                self.name, "is held by the parent process, not by this forked child of it"
            )
        return self._tenure.gone("its lease ran out")
