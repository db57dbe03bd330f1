"""One thread a process that renews what the process holds, and tells the handle when it is lost."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Hashable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ..backends.base import BaseLockBackend, Extension
from ..process import process
from .couriers import Couriers

if TYPE_CHECKING:
    from .tenure import Tenure

__all__ = ["Renewer", "renewer"]

# The place of the backend, the name and the token.
Key: TypeAlias = "tuple[Hashable, str, str]"
# When to look at a hold, the number of the entry, and the hold.
Entry: TypeAlias = "tuple[float, int, Key]"

logger = logging.getLogger("django_redislock")

# The thread ends when the process has held nothing for so long (seconds).
LINGER = 5.0
# Meanwhile it looks again so soon (seconds). What is due later, as most is, need not wake it: that
# would cost more than the rest of an acquire.
SOON = 0.5
# Holds that fall due within this time (seconds) travel together.
TOGETHER = 0.05
# How often (seconds) a server that does not answer is asked again, until a lease is over.
RETRY_EVERY = 0.25
# Entries that no longer count stay in the heap until they come up, or until they are most of it.
FEW = 64


class _Watch:
    """A hold that is looked after, and the only one of its entries in the heap that counts."""

    __slots__ = ("entry", "tenure")

    def __init__(self, tenure: Tenure) -> None:
        # A tenure that nobody has any more must not be renewed for ever.
        self.tenure = weakref.ref(tenure)
        self.entry = -1


class _Renewal(NamedTuple):
    """What is asked for a hold, and how often its holder had extended it before."""

    tenure: Tenure
    extension: Extension
    extended: int


class _Later(NamedTuple):
    """What is to be done for a backend, and when at the latest."""

    due: float
    backend: BaseLockBackend
    errand: Callable[[], None]
    at_end: bool


class Renewer:
    """Keeps the holds of this process alive, and notices when they are not.

    Its thread only watches the clock; a courier for each backend talks to the server, so that a
    loss is told in time however long a server takes to answer.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Hold nothing of what the parent holds, in a forked child."""
        # Garbage may be collected anywhere, and holds with it: reentrant.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._held: dict[Key, _Watch] = {}
        self._due: list[Entry] = []
        self._count = itertools.count()
        self._wake_at = 0.0
        self._couriers = Couriers()
        self._later: list[_Later] = []

    def add(self, tenure: Tenure) -> None:
        """Look after a hold from now on."""
        with self._lock:
            watch = self._held[tenure.key] = _Watch(tenure)
            self._push(tenure.clock.due, tenure.key, watch)

    def again(self, tenure: Tenure) -> None:
        """The lease of a hold has changed."""
        with self._lock:
            if (watch := self._watch_of(tenure)) is not None:
                self._push(tenure.clock.due, tenure.key, watch)

    def discard(self, tenure: Tenure) -> None:
        """Never renew this hold again, and never tell it that it is lost."""
        with self._lock:
            if self._watch_of(tenure) is not None:
                del self._held[tenure.key]

    def holds(self) -> list[Tenure]:
        """What this process holds."""
        with self._lock:
            watches = list(self._held.values())
        return [tenure for watch in watches if (tenure := watch.tenure()) is not None]

    def run_soon(self, backend: BaseLockBackend, errand: Callable[[], object]) -> None:
        """Do something in the background, once."""
        self._couriers.send(backend, errand)

    def run_later(
        self,
        backend: BaseLockBackend,
        errand: Callable[[], None],
        delay: float,
        *,
        at_end: bool = True,
    ) -> None:
        """Do it in the background in ``delay`` seconds; sooner when nothing is held for a while.

        ``at_end``: whether it is worth keeping the process from its end.
        """
        with self._changed:
            later = _Later(monotonic() + delay, backend, errand, at_end)
            self._later.append(later)
            self._run_until(later.due)

    def end(self) -> None:
        """Do, here, what was to be done later: the process ends."""
        with self._changed:
            later, self._later = self._later, []
        for one in later:
            if one.at_end:
                one.errand()

    def flush(self, timeout: float) -> None:
        """Wait until what was to be done in the background is done, ``timeout`` seconds at most."""
        self._couriers.join(timeout)

    def lost_by_force(self, place: Hashable, name: str, token: str) -> None:
        """A backend heard that a hold of this process was released by force."""
        watch = self._held.get((place, name, token))
        if watch is not None and (tenure := watch.tenure()) is not None:
            _lose([tenure], "it was released by force")

    def _watch_of(self, tenure: Tenure) -> _Watch | None:
        # Another handle may act with the same token, or have taken the hold over by it.
        watch = self._held.get(tenure.key)
        return watch if watch is not None and watch.tenure() is tenure else None

    def _is_current(self, entry: Entry) -> bool:
        watch = self._held.get(entry[2])
        return watch is not None and watch.entry == entry[1]

    def _push(self, due: float, key: Key, watch: _Watch) -> None:
        watch.entry = next(self._count)
        heapq.heappush(self._due, (due, watch.entry, key))
        if len(self._due) > FEW + 2 * len(self._held):
            self._due = [entry for entry in self._due if self._is_current(entry)]
            heapq.heapify(self._due)
        self._run_until(due)

    def _run_until(self, due: float) -> None:
        if self._thread is None:
            thread = threading.Thread(
                target=self._run, name="django_redislock-renewal", daemon=True
            )
            # Where no thread can be started, the next one to ask tries again.
            thread.start()
            self._thread = thread
        elif due < self._wake_at:
            self._changed.notify_all()

    # Below, in the thread.

    def _run(self) -> None:
        held_at = monotonic()
        while True:
            with self._lock:
                now = monotonic()
                if self._held:
                    held_at = now
                elif now >= held_at + LINGER:
                    self._send_later(math.inf)
                    self._thread = None
                    return
                self._send_later(now)
                due = self._take_due(now)
                if not due:
                    idle = not self._held or not self._due
                    self._wake_at = min(held_at + LINGER, now + SOON) if idle else self._due[0][0]
                    self._wake_at = min([self._wake_at, *(one.due for one in self._later)])
                    self._changed.wait(max(0.0, self._wake_at - now))
                    continue
            self._renew(due, now)

    def _send_later(self, now: float) -> None:
        due = [one for one in self._later if one.due <= now]
        self._later = [one for one in self._later if one.due > now]
        for one in due:
            try:
                self._couriers.send(one.backend, one.errand)
            except RuntimeError:
                self._later.append(one._replace(due=monotonic() + RETRY_EVERY))

    def _take_due(self, now: float) -> list[Tenure]:
        due: list[Tenure] = []
        # Once something is due, what is due shortly comes along.
        horizon = now + TOGETHER if self._due and self._due[0][0] <= now else now
        while self._due and self._due[0][0] <= horizon:
            entry = heapq.heappop(self._due)
            if not self._is_current(entry):
                continue
            if (tenure := self._held[entry[2]].tenure()) is None:
                del self._held[entry[2]]
            else:
                due.append(tenure)
        return due

    def _renew(self, due: list[Tenure], now: float) -> None:
        by_backend: dict[BaseLockBackend, list[_Renewal]] = defaultdict(list)
        _lose([tenure for tenure in due if tenure.clock.ends <= now], "its lease ran out")
        for tenure in due:
            if tenure.lost:
                continue
            if (length := tenure.clock.next_length(now)) is not None:
                extension = Extension(tenure.name, tenure.token, length, at_least=True)
                by_backend[tenure.backend].append(_Renewal(tenure, extension, tenure.extensions))
            # Whether it runs out or is being renewed: at its end there is something to look at.
            tenure.clock.due = tenure.clock.ends
            self.again(tenure)
        for backend, renewals in by_backend.items():
            errand = partial(self._extend, backend, renewals)
            try:
                self._couriers.send(backend, errand, urgent=True)
            except RuntimeError as error:
                self._try_again(renewals, error)

    def _try_again(self, renewals: list[_Renewal], error: Exception) -> None:
        logger.warning("%d lock(s) could not be renewed yet: %s", len(renewals), error)
        for tenure, *_ in renewals:
            tenure.clock.postpone(RETRY_EVERY)
            self.again(tenure)

    # Below, in a courier's thread.

    def _extend(self, backend: BaseLockBackend, renewals: list[_Renewal]) -> None:
        """Renew, and hear how that went."""
        try:
            ends = backend.extend([one.extension for one in renewals])
        except Exception as error:  # noqa: BLE001 - until the lease is over, it may yet succeed
            self._try_again(renewals, error)
            return
        gone = []
        for (tenure, _, extended), end in zip(renewals, ends, strict=True):
            if self._watch_of(tenure) is None:
                continue  # it was released meanwhile
            if end is None:
                gone.append(tenure)
            elif tenure.extensions == extended:
                tenure.renewed(end)
            else:
                # Its holder extends it meanwhile, perhaps in vain: what became of it is asked soon.
                tenure.clock.postpone(RETRY_EVERY)
            self.again(tenure)
        _lose(gone, "its lease ran out, or it was released by force")


def _lose(tenures: list[Tenure], reason: str) -> None:
    """Mark them lost at once; tell it in a thread of its own if possible, as that may run long."""
    if lost := [tenure for tenure in tenures if tenure.lose(reason)]:
        try:
            threading.Thread(target=_tell, args=(lost,), name="django_redislock-lost").start()
        except RuntimeError:
            _tell(lost)


def _tell(tenures: list[Tenure]) -> None:
    for tenure in tenures:
        tenure.tell_lost()


renewer = Renewer()

# A child holds nothing of what its parent holds, and inherits no thread.
process.in_child(renewer.forget)
