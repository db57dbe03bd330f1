"""An operator who releases locks by force while they are used."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from django.core.management import CommandError, call_command

from django_redislock import LockUnavailable, lock_backends
from tests.faults.workers.workload import CLEARED, FORCED

if TYPE_CHECKING:
    from tests.faults.workers.workload import Actor

MISUSED = 2  # status of a command that was called with wrong arguments


async def force(actor: Actor) -> None:
    """A hold that an operator may release at any time, or an operator who does."""
    if actor.random.random() < 0.3:
        await actor.mode.call(partial(_force, actor, actor.random.choice([*FORCED])))
        return
    name, limit = actor.random.choice([*FORCED.items()])
    claim = actor.claim(name, limit=limit)
    claim.may_be_forced = True
    await claim.acquire()
    for _ in range(3):
        await actor.mode.sleep(0.005)
        claim.witness()
    if await claim.release():
        await actor.mode.call(partial(_force_again, actor, name, claim.hold))


async def clear(actor: Actor) -> None:
    """A hold that `clearlocks` may release at any time, or an operator who calls it.

    The holds are shared, since nobody records which of them it has released.
    """
    if actor.random.random() < 0.3:
        await actor.mode.call(partial(_clear, actor))
        return
    claim = actor.claim(CLEARED, shared=True)
    claim.may_be_forced = True
    await claim.acquire()
    await actor.mode.sleep(0.01)
    await claim.release()


def _force(actor: Actor, name: str) -> None:
    backend = lock_backends["default"]
    with suppress(LockUnavailable):
        for hold in backend.inspect(name)[0]:
            actor.history.record("forced", name, fence=hold.fence)
            backend.force_release(name, hold.token)


def _force_again(actor: Actor, name: str, token: str) -> None:
    """Release by a token that has ended, as a page may that was not refreshed: nothing happens."""
    with suppress(LockUnavailable):
        if lock_backends["default"].force_release(name, token):
            actor.history.record("error", name, error="a hold was forced that had been released")


def _clear(actor: Actor) -> None:
    try:
        call_command("clearlocks", name=[CLEARED], interactive=False, verbosity=0)
    except CommandError as error:
        if error.returncode == MISUSED:
            actor.history.record("error", CLEARED, error=repr(error))
