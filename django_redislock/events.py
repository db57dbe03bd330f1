"""Events of a lock, one function each, which counts the event and sends its signal.

Counting does not use the signals, because sending one costs several times as much.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .clock import monotonic
from .figures.meter import BATCH
from .figures.tallies import Tally
from .local.background import background
from .signals import lock_acquired, lock_contended, lock_lost, lock_released

if TYPE_CHECKING:
    from django.dispatch import Signal

    from .backends.base import BaseLockBackend, Busy
    from .twins import Call

__all__ = ["attempted", "count", "lost", "released"]

# Counts are sent to the backend this long (seconds) after the first of them, or at shutdown.
SEND_EVERY = 10.0
# Counts that the backend does not take within this time (seconds) are dropped. A batch that arrives
# twice within a minute counts once.
SEND_WITHIN = 30.0


async def attempted(
    call: Call, handle: Any, waited: float, busy: Busy | None, *, acquired: bool
) -> None:
    """An attempt ended after ``waited`` seconds; ``busy``: what was in its way, if anything."""
    count(handle, Tally.was_acquired if acquired else Tally.was_busy, waited)
    if busy is not None and lock_contended.receivers:
        named = {"holder": busy.holder, "waited": waited, "acquired": acquired}
        await _send(call, lock_contended, handle, named)
    if acquired and lock_acquired.receivers:
        await _send(call, lock_acquired, handle, {"waited": waited})


async def released(call: Call, handle: Any, held: float | None) -> None:
    """The last handle of a hold released it; ``held``: how many seconds the name is held in all.

    None for a release of another handle's hold by its token.
    """
    if held is not None:
        count(handle, Tally.was_released, held)
    if lock_released.receivers:
        await _send(call, lock_released, handle, {"held": held})


def lost(handle: Any, reason: str) -> None:
    """A hold was lost while a handle needed it. The signal is sent in the calling thread."""
    count(handle, Tally.was_lost, 0.0)
    lock_lost.send_robust(type(handle), lock=handle, reason=reason)


async def _send(call: Call, signal: Signal, handle: Any, named: dict[str, Any]) -> None:
    # Django's asend runs synchronous receivers in a thread, where they may queue behind a slow view
    # while the lock is held. So if all receivers are synchronous, they are called right here.
    if call.blocking or not any(receiver[-1] for receiver in signal.receivers):
        signal.send_robust(type(handle), lock=handle, **named)
    else:
        await signal.asend_robust(type(handle), lock=handle, **named)


def count(handle: Any, method: Callable[[Tally, float], None], seconds: float) -> None:
    """Count an event of the handle by a method of ``Tally``; ``seconds``: the time it took."""
    backend: BaseLockBackend = handle.backend
    meter = backend.meter
    if meter is not None:
        meter.events.append((method, handle.name, seconds))
        if len(meter.events) >= BATCH:
            meter.count()
        if not meter.is_scheduled:
            # If no thread can be started, the figures wait for the next event.
            send = partial(_send_counts, backend)
            meter.is_scheduled = background.later((backend, None), send, SEND_EVERY)


# The function below runs in the thread of the background jobs.


def _send_counts(backend: BaseLockBackend) -> None:
    batch = backend.meter.take() if backend.meter is not None else None
    if batch is not None and batch.tallies:
        send = partial(backend.add_tallies, batch)
        background.until_done((backend, None), send, monotonic() + SEND_WITHIN)
