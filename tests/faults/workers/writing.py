"""Writers that read a row, wait, and write it back, while they hold its lock."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction

from django_redislock import Lock, LockLost
from tests.faults.victim.models import FencedCounter, UnfencedCounter, Write
from tests.faults.workers.claims import Claim, Refused
from tests.faults.workers.modes import Blocking, drive
from tests.faults.workers.workload import COMMITTED, FENCED, LEASE, UNFENCED

if TYPE_CHECKING:
    from tests.faults.workers.workload import Actor

THINKING = (0.0, 0.005, 0.02)  # seconds


async def write_fenced(actor: Actor) -> None:
    """Add one to a row that has a fence."""
    await _count(actor, actor.random.choice(FENCED))


async def write_unfenced(actor: Actor) -> None:
    """Add one to a row without a fence."""
    await _count(actor, actor.random.choice(UNFENCED))


async def write_in_transaction(actor: Actor) -> None:
    """Add one to a row, with a lock that is released in a transaction, and so at its end."""
    claim = actor.claim(actor.random.choice(COMMITTED), lease=LEASE, renew=True)
    claim.mode = Blocking()
    await actor.mode.call(partial(_count_in_transaction, claim, actor.random.choice(THINKING)))


def _count_in_transaction(claim: Claim, thinking: float) -> None:
    try:
        with transaction.atomic():
            drive(claim.acquire())
            assert isinstance(claim.handle, Lock)
            _add_unfenced(claim.handle.name, claim.handle, claim.token, thinking)
            drive(claim.release())
    except Refused:
        return
    if time.monotonic() > claim.ends:
        claim.note("lost")  # perhaps before the commit, and nobody asks after that


async def _count(actor: Actor, name: str) -> None:
    claim = actor.claim(name, lease=LEASE, renew=True)
    await claim.acquire()
    add = _add_fenced if name in FENCED else _add_unfenced
    thinking = actor.random.choice(THINKING)
    await actor.mode.call(partial(add, name, claim.handle, claim.token, thinking))
    await claim.release()


def _add_fenced(name: str, held: Lock, token: str, thinking: float) -> None:
    rows = FencedCounter.objects.filter(name=name)
    row = rows.get()
    time.sleep(thinking)
    # Expected: fences make a row refuse a stale writer.
    with suppress(LockLost), transaction.atomic():
        rows.fenced(held).update(value=row.value + 1, writer=token)
        _note(name, held, token, row.writer)


def _add_unfenced(name: str, held: Lock, token: str, thinking: float) -> None:
    """Write without checking whether the hold was lost, as programs often do."""
    rows = UnfencedCounter.objects.filter(name=name)
    row = rows.get()
    time.sleep(thinking)
    with transaction.atomic():
        rows.update(value=row.value + 1, writer=token)
        _note(name, held, token, row.writer)


def _note(name: str, held: Lock, token: str, before: str) -> None:
    # After the update, which locks the row, so that these records are in the order of commits.
    Write.objects.create(name=name, token=token, fence=held.fence, before=before)
