"""Handle on the lock of one name."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from ..backends.base import Holder
from ..conf import SHORTEST_LEASE, Duration, lease_seconds
from ..estimates import estimated_wait, retry_in
from ..exceptions import LockError, LockNotAcquired, LockUnavailable, add_note
from ..figures.families import family_of
from ..local import misuse
from ..local.owners import this_owner
from ..local.registry import registry
from ..transactions import cut_ties
from ..twins import Call, aperform, perform
from .attempts import OneNameHandle
from .ending import extend_hold, let_go

if TYPE_CHECKING:
    from ..local.lost import Lost

__all__ = ["Lock"]

logger = logging.getLogger("django_redislock")


class Lock(OneNameHandle["Lock"]):
    """A handle: one attempt after another to hold one name, each with a token of its own.

    Made by ``lock()``. It may pass from thread to thread, but not to another process: that one
    makes its own handle with ``lock(name, token=held.token)``.
    """

    @property
    def token(self) -> str:
        """What proves the ownership of the present attempt: 128 random bits in hexadecimal."""
        return self._hold.token

    @property
    def family(self) -> str:
        """What it is counted under: the template of the name, or the name without its numbers."""
        return family_of(self.name)

    @property
    def fence(self) -> int:
        """A number above those of all holds of this name before; 0 while nothing was granted."""
        return self._hold.fence

    @property
    def lost(self) -> Lost:
        """Set when the hold is lost; threads ``wait()`` for it, coroutines ``await`` it."""
        return self._hold.lost

    def remaining(self) -> float:
        """Seconds until the lease ends unless it is renewed, by the handle's own clock.

        It counts from before the request left, so it is never more than the backend's own count.
        """
        return self._hold.remaining() if self.held else 0.0

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

    def detach(self, lease: Duration | None = None) -> str:
        """Let the hold go on without this handle; return the token by which others act on it.

        It is not renewed any more: it ends ``lease`` seconds from now (by default when its present
        lease does), unless ``lock(name, token=...)`` releases it before, or acquires it and so
        renews it. Raises as ``extend()`` does, and ``LockError`` if other handles share the hold.
        """
        return perform(self._detach, lease)

    async def adetach(self, lease: Duration | None = None) -> str:
        """The twin of ``detach``."""
        return await aperform(self._detach, lease)

    @property
    def holder(self) -> Holder | None:
        """Who holds the lock: this handle while it does, else who did at its last attempt."""
        if self.held:
            return Holder.unpack(self._packed_holder(self._hold.owner or this_owner()))
        return self._busy.holder if self._busy else None

    @property
    def position(self) -> int | None:
        """Its place in the queue when it last asked: 1 is next. None where nothing is in its way.

        That is so before the first attempt, and once the last one was granted, also after its
        release. An attempt that did not queue (``wait=0``) is told the place after the last one.
        """
        return None if self._busy is None or self.fence else self._busy.position

    @property
    def estimated_wait(self) -> float | None:
        """Seconds until the turn of an attempt at its ``position``. Asks nobody.

        It is estimated from the median hold of the family in the last hour. None where nothing is
        in its way, or nothing is known of such holds yet.
        """
        position = self.position
        if position is None:
            return None
        return estimated_wait(self.backend, self.family, position, self.limit)

    def busy_error(self, wait: float) -> LockNotAcquired:
        error = LockNotAcquired.after(self.name, wait, self._busy and self._busy.holder)
        if self._busy is not None:
            error.position, error.estimated_wait = self.position, self.estimated_wait
            error.retry_after = retry_in(self._busy, error.estimated_wait)
        return error

    def call_on_lost(self) -> None:
        """Call ``on_lost``: the hold was lost."""
        if self._terms.on_lost is not None:
            try:
                self._terms.on_lost(self)
            except BaseException:
                logger.exception("on_lost of the lock %r failed", self.name)

    def __bool__(self) -> bool:
        """True, as any object is, so that ``if request.lock`` asks whether there is one."""
        if self.fence == 0 and self.backend.warns:
            misuse.look_at_truth(self)
        return True

    def __repr__(self) -> str:
        state = "lost" if self.lost else "held" if self.held else "not held"
        return f"<Lock {self.name!r} {state}>"

    def __del__(self) -> None:
        if self._need is not None and self.held:
            text = (
                f"{self!r} was dropped without release(); nobody renews it now, and it ends in "
                f"{self._hold.remaining():.1f} s."
            )
            # Whoever keeps the warning keeps this handle, which must not keep the hold renewed.
            self._need = None
            warnings.warn(
                text,
                ResourceWarning,
                source=self,
                stacklevel=1,
            )

    async def _extend(self, call: Call, lease: Duration | None) -> None:
        hold = self._hold
        length = lease_seconds(self._terms.lease if lease is None else lease, "lease")
        if not self.held and (self._need is not None or self._terms.token is None):
            raise self._not_held()
        await extend_hold(call, hold, length)

    async def _detach(self, call: Call, lease: Duration | None) -> str:
        self.check()
        hold = self._hold
        if any(handle is not self for handle in hold.handles) or registry.linked(hold):
            raise LockError.of(self.name, "is held by other handles here too, which need it still")
        length = (
            max(hold.remaining(), SHORTEST_LEASE)
            if lease is None
            else lease_seconds(lease, "lease")
        )
        await extend_hold(call, hold, length, detached=True)
        self._need = None
        hold.decide()
        registry.holds.pop(hold, None)
        return hold.token

    async def _give_back(self, call: Call, began: float, within: float) -> None:
        """Let go of it, since another of several names was not granted; nothing was done under it.

        What was acquired since ``began`` neither a transaction keeps nor a ``min_hold``.
        """
        hold, need = self._hold, self._need
        if need is None or hold.inherited:
            return
        if hold.since >= began:  # otherwise it was joined
            hold.keep_until = 0.0
            cut_ties(hold)
        # That it was lost harms nobody, and what is not answered is tried again in the background.
        with suppress(LockError):
            await let_go(call, self, hold, need, within)

    async def _leave(self, call: Call, error: BaseException | None) -> None:
        # Released in the block; or this is a forked child, which holds nothing of its parent's.
        if self._need is None or self._hold.inherited:
            return
        try:
            await self._release(call)
        except LockUnavailable as unavailable:
            # The work was done under the lock, and the hold ends by itself.
            logger.warning("%s It ends by itself when its lease is over.", unavailable)
        except LockError as lost:
            if error is None:
                raise
            add_note(error, lost)
