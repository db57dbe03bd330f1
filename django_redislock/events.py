"""Events of a lock, one function each, which counts the event and sends its signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .counting import count
from .figures.tallies import Tally
from .signals import lock_acquired, lock_contended, lock_lost, lock_released

if TYPE_CHECKING:
    from django.dispatch import Signal

    from .backends.base import Busy
    from .twins import Call

__all__ = ["attempted", "lost", "released"]

_ATTEMPTED = {True: Tally.was_acquired, False: Tally.was_busy}


async def attempted(
    call: Call, handle: Any, waited: float, busy: Busy | None, *, acquired: bool
) -> None:
    """An attempt ended after ``waited`` seconds; ``busy``: what was in its way, if anything."""
    count(handle.backend, _ATTEMPTED[acquired], handle.name, waited)
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
        count(handle.backend, Tally.was_released, handle.name, held)
    if lock_released.receivers:
        await _send(call, lock_released, handle, {"held": held})


def lost(handle: Any, reason: str) -> None:
    """A hold was lost while a handle needed it. The signal is sent in the calling thread."""
    count(handle.backend, Tally.was_lost, handle.name, 0.0)
    lock_lost.send_robust(type(handle), lock=handle, reason=reason)


async def _send(call: Call, signal: Signal, handle: Any, named: dict[str, Any]) -> None:
    # Django's asend runs synchronous receivers in a thread, where they may queue behind a slow view
    # while the lock is held. So if all receivers are synchronous, they are called right here.
    if call.blocking or not any(receiver[-1] for receiver in signal.receivers):
        signal.send_robust(type(handle), lock=handle, **named)
    else:
        await signal.asend_robust(type(handle), lock=handle, **named)
