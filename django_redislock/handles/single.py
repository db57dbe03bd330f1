"""Handle for the lock of one name."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from threading import get_ident
from typing import TYPE_CHECKING

from ..backends.base import Holder
from ..conf import SHORTEST_LEASE, Duration, lease_seconds
from ..estimates import estimated_wait, retry_in
from ..exceptions import LockError, LockNotAcquired, LockUnavailable, add_note
from ..figures.families import family_of
from ..local import misuse
from ..local.owners import this_owner
from ..local.registry import registry
from ..local.renewal import renewal
from ..process import ServiceThread, process
from ..transactions import forget_transactions
from ..twins import Call, aperform, perform
from .attempts import OneNameHandle
from .ending import end_need, extend_hold

if TYPE_CHECKING:
    from ..backends.base import Busy
    from ..local.hold import LocalHold, Need
    from ..local.lost import Lost

__all__ = ["Lock"]

logger = logging.getLogger("django_redislock")


class Lock(OneNameHandle["Lock"]):
    """A handle for one name. Each attempt to acquire it has a token of its own.

    Made by ``lock()``. Threads may pass a handle to each other. Another process makes a handle of
    its own with ``lock(name, token=held.token)``.
    """

    @property
    def token(self) -> str:
        """Proof of the ownership of the current attempt: 128 random bits in hexadecimal."""
        return self._hold.token

    @property
    def family(self) -> str:
        """What its figures count under: the template of the name, or the name without numbers."""
        return family_of(self.name)

    @property
    def fence(self) -> int:
        """A number that rises with every grant of the name; 0 if the last attempt got none."""
        return self._hold.fence

    @property
    def lost(self) -> Lost:
        """Whether the hold was lost; ``lost.reason`` says why.

        Threads wait for the loss by ``lost.wait(timeout)``, coroutines by ``await lost``.
        """
        return self._hold.lost

    def remaining(self) -> float:
        """Seconds until the lease ends unless it is renewed, according to the local clock.

        Counted from before the request was sent, so it never exceeds what the backend counts.
        """
        return self._hold.remaining() if self.held else 0.0

    def check(self) -> None:
        """Raise ``LockLost`` if the hold was lost, or ``LockError`` if nothing was acquired.

        Does not ask the server.
        """
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
        """Keep the hold without this handle, and return the token that other handles need.

        The hold is not renewed any more. It ends ``lease`` seconds from now (by default with its
        current lease), unless a ``lock(name, token=...)`` releases it before, or acquires it and so
        renews it. Raises as ``extend()`` does, and ``LockError`` if other handles share the hold.
        """
        return perform(self._detach, lease)

    async def adetach(self, lease: Duration | None = None) -> str:
        """The twin of ``detach``."""
        return await aperform(self._detach, lease)

    @property
    def holder(self) -> Holder | None:
        """The holder: this handle while it holds the lock, else as seen at its last attempt."""
        if self.held:
            return Holder.unpack(self._packed_holder(self._hold.owner or this_owner()))
        busy = self._busy
        return busy.holder if busy else None

    @property
    def position(self) -> int | None:
        """The place in the queue at the last request; 1 is next. None if nothing is in the way.

        It is None before the first attempt, and when the last attempt was granted, even after its
        release. An attempt that did not queue (``wait=0``) gets the place after the last waiter.
        """
        busy = self._busy
        return None if busy is None or self.fence else busy.position

    @property
    def estimated_wait(self) -> float | None:
        """Seconds until the turn of an attempt at this ``position``. Never waits for the server.

        It is estimated from the median hold of the family in the last hour. None if nothing is in
        the way, or if no such holds are known yet.
        """
        position = self.position
        if position is None:
            return None
        return estimated_wait(self.backend, self.family, position, self.limit)

    @property
    def _busy(self) -> Busy | None:
        """What was in the way of the latest attempt."""
        return self._claim.busy if self._claim is not None else None

    def _busy_error(self, wait: float) -> LockNotAcquired:
        busy = self._busy
        error = LockNotAcquired.after(self.name, wait, busy and busy.holder)
        if busy is not None:
            error.position, error.estimated_wait = self.position, self.estimated_wait
            error.retry_after = retry_in(busy, error.estimated_wait)
        return error

    def _call_on_lost(self) -> None:
        """Call ``on_lost``, if there is one."""
        if self._terms.on_lost is not None:
            try:
                self._terms.on_lost(self)
            except BaseException:
                logger.exception("on_lost of the lock %r failed", self.name)

    def __bool__(self) -> bool:
        """Always True, so that ``if request.lock`` asks whether there is a handle."""
        if self.fence == 0 and self.backend.warns:
            misuse.warn_of_truth_value(self)
        return True

    def __repr__(self) -> str:
        state = "lost" if self.lost else "held" if self.held else "not held"
        return f"<Lock {self.name!r} {state}>"

    def __del__(self) -> None:
        if self._need is not None and self.held:
            # Code that keeps the warning keeps this handle, which must not keep the hold renewed.
            self._need = None
            text = (
                f"The handle of the lock {self.name!r} was dropped without release(): the hold is "
                f"not renewed any more, and ends in {self._hold.remaining():.1f} s. Write `with "
                "lock(...):`, or keep the handle: `handle = lock(...)`."
            )
            if self.backend.warns:
                misuse.warn(self, text)  # Python hides a ResourceWarning
            else:
                warnings.warn(text, ResourceWarning, source=self, stacklevel=2)

    async def _extend(self, call: Call, lease: Duration | None) -> None:
        length = lease_seconds(self._terms.lease if lease is None else lease, "lease")
        if self.held:
            hold = self._hold
        elif self._need is None and self._terms.token is not None:
            hold = self._new_hold()  # stands for another handle's, of which nothing is kept here
        else:
            raise self._not_held()
        await extend_hold(call, hold, length)

    async def _detach(self, call: Call, lease: Duration | None) -> str:
        self.check()
        hold = self._hold
        if any(handle is not self for handle in hold.handles) or registry.linked(hold):
            raise LockError.of(self.name, "is held by other handles here too, which still need it")
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
        """Release the lock because another of several names was not granted.

        Nothing was done under a hold acquired since ``began``: no transaction and no ``min_hold``
        keeps it.
        """
        hold, need = self._hold, self._need
        if need is None or (hold, need) not in (call.taken or ()) or hold.inherited:
            return
        if hold.since >= began:  # otherwise an older hold was joined
            hold.keep_until = 0.0
            forget_transactions(hold)
        # A loss does no harm here, and an unanswered release is retried in the background.
        with suppress(LockError):
            await end_need(call, self, hold, need, within)

    async def _end_transaction_need(self, call: Call, hold: LocalHold, need: Need) -> None:
        """End the need of a transaction that is over, in which this handle was used."""
        if hold.inherited:
            return
        if get_ident() in ServiceThread.own:
            # A connection was collected in a thread of ours, which must not wait for a server.
            renewal.end_later(hold, need)
            return
        try:
            await end_need(call, self, hold, need)
        except LockError as error:
            logger.warning("At the end of a transaction: %s", error)

    async def _leave(self, call: Call, error: BaseException | None) -> None:
        # Released inside the block, or this is a forked child, which does not hold it.
        if self._outlives_block or self._need is None or self._hold.pid != process.pid:
            return
        try:
            await self._release(call)
        except LockUnavailable as unavailable:
            # The work was done under the lock, and the hold ends by itself.
            logger.warning("%s It ends by itself when its lease is over.", unavailable)
        except LockError as lost:
            if error is None:
                raise
            if str(error) != str(lost):  # the body may have noticed the loss itself
                add_note(error, lost)
