"""Acquire and release of one name, with a new token for each attempt."""

from __future__ import annotations

import math
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from .. import events
from ..backends.base import SHARED, Claim
from ..clock import monotonic
from ..conf import Duration, wait_seconds
from ..exceptions import LockError, LockLost, LockUnavailable
from ..holder import packed_holder
from ..local import misuse
from ..local.hold import LocalHold
from ..local.owners import this_owner
from ..local.registry import LATE, Attempt, cancel_in_background, registry
from ..local.renewal import renewal
from ..local.shutdown import release_at_end
from ..process import NoThread, process
from ..transactions import caller_in_transaction, tie_in_caller, tie_to_transactions
from ..twins import Call
from ..waiting import wait_for_grant
from .base import Handle, T, not_made_by_lock
from .ending import FORKED, end_need, lost_error

if TYPE_CHECKING:
    from ..backends.base import BaseLockBackend, Grant
    from ..local.owners import Owner
    from ..options import Terms

__all__ = ["HandleNeed", "OneNameHandle"]


class HandleNeed:
    """A handle's need for a hold. It is over when the handle is gone or has another need."""

    __slots__ = ("_handle",)

    is_transaction = False

    def __init__(self, handle: OneNameHandle[Any]) -> None:
        self._handle = weakref.ref(handle)

    @property
    def handle(self) -> OneNameHandle[Any] | None:
        handle = self._handle()
        return handle if handle is not None and handle._need is self else None


class OneNameHandle(Handle[T]):
    """Acquire and release, without what ``Lock`` adds for its users."""

    # A class attribute, because ``__del__`` reads it even if ``__init__`` failed.
    _need: HandleNeed | None = None

    def __init__(
        self,
        name: str,
        backend: BaseLockBackend | None = None,
        terms: Terms | None = None,
        **options: NoReturn,
    ) -> None:
        if backend is None or terms is None or options:
            raise not_made_by_lock(self)
        self.name = name
        self.backend = backend
        self.wait = terms.wait
        self.limit = SHARED if terms.shared else terms.limit
        self._terms = terms
        # The same for all handles of one ``MultiLock``; stored with the holder, for listings.
        self._group = ""
        # The request of the latest attempt that did not join a hold.
        self._claim: Claim | None = None
        # The hold of the latest attempt, or of the next one.
        self._hold = self._new_hold()
        # The acquires in progress, of any thread or signal handler: all but the first are refused.
        # One that is over is dropped by the next.
        self._acquiring: dict[Call, Owner] = {}

    @property
    def held(self) -> bool:
        """Whether this handle holds the lock, according to the local clock."""
        need, hold = self._need, self._hold
        return need is not None and hold.alive and need in hold.needs

    async def _acquire(self, call: Call, wait: Duration | None, began: float | None = None) -> bool:
        """Acquire the lock. ``began``: when the attempt on several names began (monotonic)."""
        asked = wait is not None
        wait = self.wait if wait is None else wait_seconds(wait, "wait")
        owner = this_owner()
        self._acquiring[call] = owner
        if len(self._acquiring) > 1:
            self._refuse_second(call)
        if self._need is not None and self.held:
            raise LockError.of(
                self.name,
                "is already held by this handle. Release it first, or make another handle",
            )
        # A hold of this thread or task, which a reentrant handle or a transaction shares.
        taken = owner.taken.get(self._hold.lock_id)
        if taken is not None and taken.undecided and await self._join(call, taken):
            return True
        # Likewise one of the thread that waits for this coroutine, as in ``async_to_sync``.
        caller = None if call.blocking else await caller_in_transaction()
        kept = caller.taken.get(self._hold.lock_id) if caller is not None else None
        if kept is not None and kept.is_kept_by_transactions and await self._join(call, kept):
            return True
        if self.backend.warns:
            # A block needs the lock, while acquire(wait=0) only asks for it.
            needs = wait > 0 or not asked
            misuse.warn_of_misuse(self, wait, blocking=call.blocking, needs=needs)
        return await self._try(call, owner, caller, wait, began)

    def _refuse_second(self, call: Call) -> None:
        # Each has added itself before it looks, so all agree which one is the first.
        for other, owner in self._acquiring.copy().items():
            if other is call:
                return
            # In a forked child the call of a thread of its parent never ends.
            if not other.is_over and owner.pid == process.pid:
                raise LockError.of(
                    self.name,
                    f"is being acquired with this handle by {owner}. Make a separate handle for "
                    "each thread, task and signal handler",
                )
            self._acquiring.pop(other, None)

    async def _join(self, call: Call, hold: LocalHold) -> bool:
        """Share this hold of the same name. Return False if the handle needs one of its own."""
        if not hold.alive or hold.limit > self.limit:
            return False
        if hold.limit > 1 and self._terms.token not in (None, hold.token):
            return False  # the given token may have a hold beside this one
        # Nothing needs a hold that an interrupted release has left behind.
        if not (hold.is_needed() if self._terms.reentrant else hold.is_kept_by_transactions):
            return False
        need = HandleNeed(self)
        # Interrupted, it has nothing to cancel, only its need to end, as a release has.
        attempt = Attempt(call, [(hold, need)])
        try:
            self._hold, self._need = hold, need
            joined = hold.join(need)
            if joined:
                if self._terms.min_hold:
                    hold.keep_until = max(hold.keep_until, monotonic() + self._terms.min_hold)
                if call.taken is not None:
                    call.taken.append((hold, need))
        except BaseException:
            self._need = None
            renewal.finish(attempt)
            raise
        if not joined:
            # The hold is just being released or lost, so ask the backend for a hold of our own.
            self._need = None
            with suppress(LockLost):
                await end_need(call, self, hold, need)
        del attempt.registered[attempt]
        return joined

    async def _try(
        self, call: Call, owner: Owner, caller: Owner | None, wait: float, began: float | None
    ) -> bool:
        """Ask the backend for a hold, until it is granted or the wait is over."""
        # Each attempt has a token of its own, also in processes that inherit the handle by a fork.
        hold = self._hold
        if hold.owner is not None or hold.pid != process.pid:
            hold = self._new_hold()
        hold.owner, need = owner, HandleNeed(self)
        self._hold, self._need = hold, None
        attempt = Attempt(call, [(hold, need)], new_since=-math.inf)
        try:
            if not renewal.is_running():
                self._start_service()
            holder = self._packed_holder(owner)
            claim = Claim(self.name, hold.token, self.limit, hold.length, holder)
            self._claim, asked_at = claim, monotonic()
            grant = await wait_for_grant(call, self.backend, claim, began or asked_at, wait)
            if hold.pid != process.pid:
                raise LockError.of(self.name, FORKED.format("is being acquired by"))
            waited = monotonic() - asked_at
            if grant is not None:
                hold.unanswered = claim.unanswered and not hold.is_given
                self._begin(call, grant, owner, need)
                if caller is not None:
                    await tie_in_caller(self, hold, whole=False)
            await events.attempted(call, self, waited, claim.busy, acquired=grant is not None)
            if grant is None and not hold.is_given and (wait > 0 or claim.unanswered):
                cancel_in_background(hold, LATE if claim.unanswered else 0.0)
        except BaseException as error:
            self._need = None
            if isinstance(error, LockUnavailable) and not error.sent:
                attempt.registered.pop(attempt, None)
            else:
                # It is unknown whether the lock was granted.
                renewal.finish(attempt)
            raise
        # A statement, not a call: no asynchronous exception can come between it and the return.
        del attempt.registered[attempt]
        return grant is not None

    def _start_service(self) -> None:
        try:
            renewal.ensure()
        except NoThread as error:
            raise LockError.of(
                self.name, f"cannot be held: the thread that looks after it cannot start ({error})"
            ) from error

    def _begin(self, call: Call, grant: Grant, owner: Owner, need: HandleNeed) -> None:
        hold, self._need = self._hold, need
        if not hold.begin(grant, need):
            raise lost_error(hold, "its lease ran out before the reply came")
        if self._terms.min_hold:
            hold.keep_until = hold.since + self._terms.min_hold
        owner.take(hold)
        self.backend.on_force_release = renewal.lost_by_force
        if hold.is_given:
            registry.given[hold] = None
        registry.holds[hold] = None
        if call.taken is not None:
            call.taken.append((hold, need))
        if owner.is_new:
            release_at_end()
            owner.is_new = False
        if hold.due < renewal.wake_at:
            renewal.wake()
        if not renewal.is_running():  # an exception set in this thread may have killed it at birth
            self._start_service()
        tie_to_transactions(self, hold, whole=False)

    async def _release(self, call: Call) -> None:
        need, hold = self._need, self._hold
        if need is None and self._terms.token is not None:
            # A hold that stands for another handle's, of which nothing is kept here.
            await end_need(call, self, self._new_hold(), None)
            return
        if need is None or not hold.alive or need not in hold.needs:
            raise self._not_held()
        tie_to_transactions(self, hold, whole=True)
        # A hold of another thread or task may be older than the transaction.
        is_anothers = not call.blocking and hold.owner is not this_owner()
        if is_anothers and await caller_in_transaction() is not None:
            await tie_in_caller(self, hold, whole=True)
        await end_need(call, self, hold, need)

    def _end_later(self, error: BaseException) -> None:
        need, hold = self._need, self._hold
        if need is None or isinstance(error, LockError) or not hold.alive:
            return
        tie_to_transactions(self, hold, whole=True)
        renewal.end_later(hold, need)
        self._need = None

    def _new_hold(self) -> LocalHold:
        terms = self._terms
        return LocalHold(
            self.backend, self.name, terms.token, self.limit,
            lease=terms.lease, renew=terms.renew, max_hold=terms.max_hold,
        )  # fmt: skip

    def _packed_holder(self, owner: Owner) -> str:
        terms = self._terms
        renews_for = terms.max_hold if terms.renew else 0.0
        return packed_holder(
            terms.what or "", terms.label, renews_for, owner.thread_name, owner.id, self._group
        )

    def _not_held(self) -> LockError:
        if self._need is None:
            what = "is not held by this handle"
            if self._claim is not None and self._hold.fence == 0:
                what += ": its last acquire() did not get it. Write `if handle.acquire(...):`"
            else:
                what += ". Acquire it first"
            return LockError.of(self.name, what)
        if self._hold.inherited:
            return LockError.of(self.name, FORKED.format("is held by"))
        return lost_error(self._hold)
