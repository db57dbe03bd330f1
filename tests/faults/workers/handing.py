"""Hand-overs of holds by their tokens, between all processes of a run."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from django_redislock import Lock
from tests.faults.history import now
from tests.faults.workers.claims import REPORTED
from tests.faults.workers.workload import HANDED

if TYPE_CHECKING:
    from tests.faults.history import History
    from tests.faults.workers.claims import Claim
    from tests.faults.workers.workload import Actor

LEASE = 0.3  # seconds, from the hand-over
# A hold that is asked for this long (seconds) before its end must still be there.
IN_TIME = 0.15


class Handed(NamedTuple):
    """A hold that its first holder has left: who was that in the history, and until when it lasts.

    `token` is the lock's, `claim` that of the history.
    """

    token: str
    claim: str
    fence: int
    ends: int  # nanoseconds, on the clock of the history


async def hand_over(actor: Actor) -> None:
    """Take over a hold that another process has left, or else leave one."""
    handed = _take(actor.history)
    if handed is None:
        await _leave(actor)
    elif actor.random.random() < 0.3:
        await _release(actor, handed)
    else:
        await _take_over(actor, handed)


async def _leave(actor: Actor) -> None:
    claim = actor.claim(HANDED)
    await claim.acquire()
    assert isinstance(claim.handle, Lock)
    token, fence = claim.handle.token, claim.handle.fence
    await actor.mode.sleep(actor.random.uniform(0, 0.01))
    ends = now() + int(1e9 * LEASE)
    if await claim.detach(LEASE):
        _put(actor.history, Handed(token, claim.token, fence, ends))


async def _release(actor: Actor, handed: Handed) -> None:
    """End the hold by its token, without acquiring it."""
    claim = actor.claim(HANDED, token=handed.token, wait=0)
    left = _left(handed)
    _, error = await claim.answer_of(actor.mode.release)
    _note(claim, handed, left, error)


async def _take_over(actor: Actor, handed: Handed) -> None:
    """Go on with the hold: it is the same one, with the same fence."""
    claim = actor.claim(HANDED, token=handed.token, wait=0)
    assert isinstance(claim.handle, Lock)
    left = _left(handed)
    acquired, error = await claim.answer_of(actor.mode.acquire)
    is_same = acquired and claim.handle.fence == handed.fence
    _note(claim, handed, left, error if error or is_same else REPORTED[0])
    if is_same:
        claim.token = handed.claim
    if acquired and claim.witness("held" if is_same else "acquired"):
        await actor.mode.sleep(actor.random.uniform(0, 0.02))
        await claim.extend(LEASE)
        await claim.release()


def _note(claim: Claim, handed: Handed, left: float, error: str) -> None:
    """Note what became of the hold. Its loss has a reason if its lease was almost over."""
    claim.note("over", error=error, lease=LEASE if left > IN_TIME else None)


def _left(handed: Handed) -> float:
    return (handed.ends - now()) / 1e9


def _put(history: History, handed: Handed) -> None:
    path = _folder(history) / f"{handed.claim}.new"
    path.write_text(json.dumps(handed))
    path.rename(path.with_suffix(".handed"))


def _take(history: History) -> Handed | None:
    for path in _folder(history).glob("*.handed"):
        taken = path.with_suffix(f".{os.getpid()}")
        # Only one taker succeeds in renaming it.
        with contextlib.suppress(FileNotFoundError):
            path.rename(taken)
            return Handed(*json.loads(taken.read_text()))
    return None


def _folder(history: History) -> Path:
    folder = Path(history.path).with_name("handed")
    folder.mkdir(exist_ok=True)
    return folder
