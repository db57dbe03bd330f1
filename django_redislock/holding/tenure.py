"""One hold of one name, from its grant to its end."""

from __future__ import annotations

import logging
import threading
import weakref
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from ..backends.base import BaseLockBackend, Extension, Grant
from ..conf import SHORTEST_LEASE
from ..exceptions import LockError, LockLost
from ..metrics import recording
from ..process import process
from ..signals import lock_lost, lock_released
from ..steps import Step, Steps
from .arrears import arrears
from .clock import LeaseClock
from .contexts import Context, contexts
from .ending import release_at_end
from .lost import Lost
from .renewal import renewer

if TYPE_CHECKING:
    from ..lock import Lock

__all__ = ["Tenure"]

logger = logging.getLogger("django_redislock")

GONE = "its lease ran out, or it was released by force"


class Tenure:
    """What is held, by its own token; the handles and transactions that need it have a share each.

    It ends with the last share, with its lease, or when it is released by force.
    """

    def __init__(
        self, backend: BaseLockBackend, name: str, token: str, limit: int, clock: LeaseClock
    ) -> None:
        self.backend = backend
        self.name = name
        self.limit = limit
        self.token = token
        self.subject = (backend.place, name)
        self.key = (backend.place, name, token)
        self.clock = clock
        self.fence = 0
        self.lost = Lost()
        self.shares = self.ties = 0
        self.extensions = 0
        # When it may end (monotonic): left earlier, it goes on by itself till then.
        self.keep_until = 0.0
        # Handles come and go with the code that has them; a tenure that nobody has is not renewed.
        self._handles: list[weakref.ref[Lock]] = []
        self._pid = 0
        self._context: Context | None = None
        self._changing = threading.RLock()  # it may be collected as garbage anywhere

    @property
    def begun(self) -> bool:
        return self._pid != 0

    @property
    def inherited(self) -> bool:
        """Whether this is a forked child, which holds nothing of what its parent holds."""
        return self._pid not in (0, process.look())

    def admits(self, other: Tenure) -> bool:
        """Whether who asks for ``other`` may share this: it is the same name, held as strictly."""
        return self.subject == other.subject and self.limit <= other.limit

    @property
    def alive(self) -> bool:
        """Whether it is held, by its own clock."""
        return (
            self._pid == process.look() and not self.lost.reason and self.clock.ends > monotonic()
        )

    def begin(self, grant: Grant) -> None:
        """It was granted. Raises ``LockLost`` if the reply came too late."""
        self.fence = grant.fence
        self.clock.begin(grant.ends, confirmed=grant.confirmed)
        self._pid = process.pid
        if not self.alive:
            raise self.gone("its lease ran out before the reply came")
        self._context = contexts.enter(self)
        self.backend.on_force_release = renewer.lost_by_force
        renewer.add(self)
        release_at_end()

    def share(self, handle: Lock) -> None:
        """One more handle needs it."""
        with self._changing:
            self.shares += 1
        self._handles.append(weakref.ref(handle))

    def tie(self) -> None:
        """A transaction needs it."""
        with self._changing:
            self.ties += 1

    @property
    def tied(self) -> bool:
        return self.ties > 0

    @property
    def released(self) -> bool:
        """Whether a transaction alone keeps it."""
        return self.shares == 0

    def leaving(self, handle: Lock) -> Steps[None]:
        """This handle needs it no more. Raises ``LockLost`` or ``LockUnavailable``."""
        with self._changing:
            self.shares -= 1
            last = self.shares + self.ties == 0
        if last:
            yield from (self._letting_go(handle) if self.keep_until else self.ending(handle))

    def untying(self, handle: Lock) -> Steps[None]:
        """One transaction is over; ``handle`` was used in it."""
        with self._changing:
            self.ties -= 1
            last = self.shares + self.ties == 0 and self.begun and not self.inherited
        if last:
            try:
                yield from self._letting_go(handle)
            except LockError as error:
                logger.warning("At the end of a transaction: %s", error)

    def ending(self, handle: Lock) -> Steps[None]:
        """Release it, whoever needs it. Raises ``LockLost`` or ``LockUnavailable``."""
        if self.begun and not self.alive:
            raise self.gone("its lease ran out")
        renewer.discard(self)
        try:
            released = yield Step(
                self.backend.release, self.backend.arelease, (self.name, self.token)
            )
        except BaseException:
            until = self.clock.ends if self.begun else monotonic() + self.clock.length
            self.forget()
            again = partial(self.backend.release, self.name, self.token)
            arrears.owe(self.backend, again, until)
            raise
        if not released:
            raise self.gone(GONE)
        held_for = self.clock.held_for() if self.begun else None
        self._close()
        recording.released(handle, held_for)
        if lock_released.receivers:
            yield lock_released.telling(type(handle), lock=handle, held=held_for)

    def _letting_go(self, handle: Lock) -> Steps[None]:
        left = self.keep_until - monotonic()
        if left <= 0:
            yield from self.ending(handle)
            return
        try:
            yield from self.extending(max(left, SHORTEST_LEASE))
        finally:
            self.forget()

    def extending(self, length: float) -> Steps[None]:
        """Let the lease end ``length`` seconds from now. Raises ``LockLost``."""
        # A renewal under way tells what was true before, and is not to be believed any more.
        self.extensions += 1
        (ends,) = yield Step(
            self.backend.extend,
            self.backend.aextend,
            ([Extension(self.name, self.token, length)],),
        )
        if ends is None:
            raise self.gone(GONE)
        self.renewed(ends)
        renewer.again(self)

    def renewed(self, ends: float) -> None:
        """The lease ends at another time now, on the monotonic clock."""
        with self._changing:
            self.clock.renewed(ends)

    def forget(self) -> None:
        """It is not held any more, and that is as it should be."""
        renewer.discard(self)
        self._close()

    def _close(self) -> None:
        with self._changing:
            self._pid = 0
        self._leave_context()

    def mark_lost(self, reason: str) -> None:
        """It is over, though nobody released it: tell those who have it."""
        if self.lose(reason):
            self.tell_lost()

    def lose(self, reason: str) -> bool:
        """It is over; False if that is known. Those who have it are to be told."""
        with self._changing:
            if self._pid != process.pid or not self.lost.set(reason):
                return False
        renewer.discard(self)
        self._leave_context()
        return True

    def tell_lost(self) -> None:
        """Tell those who have it. This runs their code, which may take long."""
        handles = [handle for one in self._handles if (handle := one()) is not None]
        for handle in handles:
            handle.tell_lost()
        # One hold was lost, so it is told once, of the handle that came first if there are several.
        for handle in handles[:1]:
            recording.lost(handle)
            lock_lost.send_robust(type(handle), lock=handle, reason=self.lost.reason)

    def gone(self, reason: str) -> LockLost:
        """The error that says so."""
        if not self.begun:
            return LockLost.of(self.name, f"is not held with this token: {reason}")
        self.mark_lost(reason)
        return LockLost.of(self.name, f"was lost: {self.lost.reason}")

    def _leave_context(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            contexts.leave(context, self)
