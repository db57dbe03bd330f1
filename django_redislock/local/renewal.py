"""Renewal of the holds of this process, and notification of lost ones."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..backends.base import Extension
from ..clock import monotonic
from ..handler import lock_backends
from ..process import NoThread, ServiceThread, process
from .background import RETRY_EVERY, background
from .registry import Attempt, registry

if TYPE_CHECKING:
    from ..backends.base import BaseLockBackend
    from .background import Server
    from .hold import LocalHold, Need

__all__ = ["Renewal", "renewal"]

logger = logging.getLogger("django_redislock")

# The thread ends when the process has held nothing for this time (seconds).
LINGER = 30.0
# Until then it looks at least this often (seconds). A hold that is due later, as most are, need not
# wake it, which would cost more than the rest of an acquire.
SOON = 0.5
# Holds that fall due within this time (seconds) are renewed together.
BATCH_WINDOW = 0.05
# While a server is unreachable, a warning is logged this often (seconds).
WARN_EVERY = 10.0


class _Renewed(NamedTuple):
    """A renewal that was requested; ``request`` stands for it among the requests of the hold."""

    hold: LocalHold
    extension: Extension
    request: object


class Renewal:
    """Watches the lease of every hold in the registry.

    Its thread never talks to a server, so a loss is reported in time however slow the server is. It
    is never interrupted either, so it cleans up after callers that were.
    """

    # Notifies the handles of a lost hold. Set by the layer above, which knows handles.
    notify_lost: Callable[[LocalHold], object]

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start without a thread. A forked child inherits none."""
        self._thread = ServiceThread(
            "django_redislock-renewal", self._serve, lambda: bool(registry)
        )
        # Whether the thread is running; checked before each acquire.
        self.is_running = self._thread.is_running
        # When the thread looks next. A hold that is due earlier has to wake it.
        self.wake_at = 0.0
        self._swept_at = 0.0
        self._warned: dict[BaseLockBackend, float] = {}

    def ensure(self) -> None:
        """Start the thread unless it is running. Raises ``NoThread`` if it cannot be started."""
        self._thread.ensure()

    def wake(self) -> None:
        """Make the thread look at once."""
        self._thread.wake()

    def finish(self, attempt: Attempt) -> None:
        """Let the thread clean up after an attempt that failed."""
        attempt.call = None
        self._swept_at = 0.0
        self.wake()

    def end_later(self, hold: LocalHold, need: Need) -> None:
        """Let the thread end ``need``, and the hold if it is its last need."""
        self.finish(Attempt(None, [(hold, need)]))

    def settle(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds until interrupted attempts are finished."""
        deadline = monotonic() + timeout
        self._swept_at = 0.0
        self.wake()
        try:
            while registry.interrupted and monotonic() < deadline:
                self.ensure()
                time.sleep(0.002)
        except NoThread:
            registry.sweep()

    def mark_lost(self, hold: LocalHold, reason: str) -> None:
        """Mark the hold as lost. Its handles are notified in another thread."""
        hold.lose(reason)
        self.wake()

    def lost_by_force(self, place: Hashable, name: str, token: str) -> None:
        """Mark the hold as lost that a backend reports as released by force."""
        for hold in registry.find((place, name), token):
            self.mark_lost(hold, "it was released by force")

    # The methods below run in the thread.

    def _serve(self) -> None:
        needed_at = monotonic()
        while True:
            now = monotonic()
            # A hold that begins during the look may be missed by it, so it wakes the thread.
            self.wake_at = math.inf
            # The holds first: no error of what follows may keep them from being renewed.
            self.wake_at = self._look_at_holds(now)
            if now >= self._swept_at + SOON:
                self._swept_at = now
                self._mend()
            if registry:
                needed_at = now
            elif now > needed_at + LINGER:
                return
            self._thread.sleep(self.wake_at - monotonic())

    def _mend(self) -> None:
        """Clean up after interrupted callers."""
        registry.sweep()
        background.look()
        for backend in lock_backends.created():
            backend.mend()

    def _look_at_holds(self, now: float) -> float:
        """Renew the holds that are due, report the lost ones, and return when to look again."""
        wake_at, due, lost = now + SOON, [], []
        for hold in list(registry.holds):
            if hold.lost_reason:
                hold.lose(hold.lost_reason)  # an interrupted caller may not have woken all waiters
            if not hold.undecided:
                continue  # the caller that ends it reports the outcome
            if hold.ends <= now:
                hold.lose(hold.why_over)
            if hold.lost_reason:
                lost.append(hold)
            elif hold.due <= now + BATCH_WINDOW:
                if hold.is_needed():
                    due.append(hold)
            else:
                wake_at = min(wake_at, hold.due)
        if any(hold.due <= now for hold in due):
            self._renew(due, now)
        wake_at = min([wake_at, *(hold.due for hold in due)])
        self._report(lost)
        return wake_at

    def _report(self, lost: list[LocalHold]) -> None:
        for hold in lost:
            if hold.decide():
                registry.lost[hold] = None
            registry.holds.pop(hold, None)
        for hold in list(registry.lost):
            # A callback that hangs must not keep those of other holds from being called.
            notifying = threading.Thread(
                target=self.notify_lost, args=(hold,), name="django_redislock-lost", daemon=True
            )
            # If no thread can be started, the next look tries again.
            with suppress(RuntimeError):
                notifying.start()
                registry.lost.pop(hold, None)

    def _renew(self, due: list[LocalHold], now: float) -> None:
        by_server: dict[Server, list[_Renewed]] = defaultdict(list)
        for hold in due:
            if (length := hold.next_length(now)) is not None:
                extension = Extension(hold.name, hold.token, length, renewal=True)
                # A renewal never makes a lease shorter.
                request = object()
                hold.expect(request, math.inf)
                by_server[hold.server].append(_Renewed(hold, extension, request))
            # There is nothing more to do until the answer comes or the lease is over.
            hold.due = hold.ends
        for server, renewals in by_server.items():
            backend, _ = server
            try:
                background.now(server, partial(self._extend, backend, renewals))
            except NoThread as error:
                self._try_again(backend, renewals, error)

    # The methods below run in the thread of the background jobs.

    def _extend(self, backend: BaseLockBackend, renewals: list[_Renewed]) -> None:
        results: Sequence[float | Exception | None]
        try:
            results = backend.extend_all([one.extension for one in renewals])
        except Exception as error:  # noqa: BLE001 - retried until the lease is over
            results = [error] * len(renewals)
        failed = []
        for one, result in zip(renewals, results, strict=True):
            hold = one.hold
            if isinstance(result, Exception):
                failed.append(one)
            elif result is not None:
                hold.answered(one.request, result)
            elif not hold.is_over:
                hold.lose(hold.why_over)
        if failed:
            why = next(one for one in results if isinstance(one, Exception))
            self._try_again(backend, failed, why)
        else:
            self._warned.pop(backend, None)
        self.wake()

    def _try_again(
        self, backend: BaseLockBackend, renewals: list[_Renewed], error: Exception
    ) -> None:
        now = monotonic()
        if now > self._warned.get(backend, 0.0) + WARN_EVERY:
            self._warned[backend] = now
            logger.warning("%d lock(s) could not be renewed yet: %s", len(renewals), error)
        for hold, _, request in renewals:
            hold.not_answered(request, math.inf)
            hold.due = min(now + RETRY_EVERY, hold.ends)
        self.wake()


renewal = Renewal()

# A forked child inherits neither the holds of its parent nor the thread.
process.in_child(renewal.reset)
