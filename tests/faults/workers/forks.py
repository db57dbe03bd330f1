"""Forks in the middle of work: the child has none of its parent's holds, and uses its own locks."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.workers.claims import Claim, Refused
from tests.faults.workers.modes import Blocking, drive
from tests.faults.workers.probes import SHOWN_WITHIN, SHOWS_STACKS, processor_delay, start_probe
from tests.faults.workers.workload import MUTEXES, Actor, brief, permit, transfer

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long (seconds) a child that gets a processor may take for its few operations.
CHILD_TAKES = 15.0
AT_ONCE = 4  # children


async def fork(actor: Actor) -> None:
    """Fork during a renewed hold, and wait for the child."""
    await _fork(actor, 1)


async def fork_storm(actor: Actor) -> None:
    """Fork several children at once."""
    await _fork(actor, AT_ONCE)


async def _fork(actor: Actor, children: int) -> None:
    claim = actor.claim(actor.random.choice(MUTEXES), renew=True)
    await claim.acquire()
    pids = [_start_child(actor, claim) for _ in range(children)]
    claim.witness()
    await claim.release()
    for pid in pids:
        if not _has_ended(pid):
            what = f"the forked child {pid} did not end: {_stacks_of(pid)}"
            actor.history.record("error", error=what)
            os.kill(pid, signal.SIGKILL)
            actor.history.record("gone", pid=pid)


def _start_child(actor: Actor, claim: Claim) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            for error in _in_child(actor, claim):
                actor.history.record("error", error=error)
        except BaseException as error:  # noqa: BLE001 (it must not get out of the child)
            actor.history.record("error", error=f"a forked child has raised {error!r}")
        finally:
            os._exit(0)
    return pid


def _in_child(parent: Actor, inherited: Claim) -> Iterator[str]:
    if inherited.handle.held:
        yield "a forked child holds what its parent holds"
    try:
        inherited.handle.release()
    except Exception as error:  # noqa: BLE001 (judged below)
        if type(error).__name__ not in ("LockError", "LockLost"):
            yield f"the release in a forked child has raised {error!r}"
    else:
        yield "a forked child has released what its parent holds"
    start_probe(parent.history)
    own = Actor(f"{parent.name}-child", Blocking(), parent.history, parent.random, ())
    for operation in (brief, transfer, permit, brief):
        with suppress(Refused):
            drive(own.act(operation))


def _has_ended(pid: int) -> bool:
    deadline = time.monotonic() + CHILD_TAKES
    while time.monotonic() < deadline + processor_delay(pid):
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.005)
    return False


def _stacks_of(pid: int) -> str:
    os.kill(pid, SHOWS_STACKS)
    time.sleep(SHOWN_WITHIN)
    return Path("/proc/self/fd/2").resolve().read_text(errors="replace")[-4000:]
