"""Deliberate mishaps of a process that holds a lock: it is killed, frozen, or loses the lock.

Only server processes that the demo has started are harmed.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from django.conf import settings
from django.contrib.auth import get_user_model

from django_redislock import LockUnavailable, lock_backends
from django_redislock.admin.references import address_of
from django_redislock.backends.base import Hold
from django_redislock.operations.audit import release_and_record
from django_redislock.operations.selection import Found

from .answers import short_fence
from .models import Event
from .news import report

MOMENT_WITHIN = 2.0  # seconds to wait for a holder that is charging a card
FREE_FOR = 1.0  # seconds without holders and waiters after which the lock counts as free
NOT_OURS = "The holder is not a process of the demo: start “manage.py demo”."

_killed: set[str] = set()  # tokens of holders
_frozen: set[int] = set()  # processes


class Impossible(Exception):
    """There is no process to harm; the message is for the visitor."""


def kill(event: Event) -> None:
    """Kill the process that holds the lock. Raises Impossible and LockUnavailable."""
    hold = _frozen_holder(event) or _stopped(event)
    _frozen.discard(hold.holder.pid)
    _killed.add(hold.token)
    _signal(hold.holder.pid, signal.SIGKILL)
    lease = f"{hold.remaining:.0f} s"
    _report_mishap(f"{_described(hold)} was killed. Its lease runs on for up to {lease}.", hold)


def freeze(event: Event) -> None:
    """Stop the process that holds the lock. Raises Impossible and LockUnavailable."""
    hold = _stopped(event)
    _frozen.add(hold.holder.pid)
    _report_mishap(f"{_described(hold)} was frozen. Its lease is no longer renewed.", hold)


def thaw(event: Event) -> None:
    """Resume all frozen processes. Raises Impossible if there are none."""
    if not _frozen:
        raise Impossible("No process is frozen.")
    while _frozen:
        pid = _frozen.pop()
        report("relief", f"Process {pid} continues as if nothing had happened.")
        _signal(pid, signal.SIGCONT)


def release(event: Event) -> None:
    """Take the lock from its holder, which goes on unless it is frozen.

    Raises Impossible and LockUnavailable.
    """
    hold = _frozen_holder(event) or _charging(event)
    if not _release_by_force(hold):
        raise Impossible("The lock has a new holder now. Try again.")
    is_frozen = hold.holder.pid in _frozen
    then = "is frozen and does not know it yet" if is_frozen else "keeps running"
    _report_mishap(f"The lock was taken from {_described(hold)}, which {then}.", hold)


def _release_by_force(hold: Hold) -> bool:
    """Release by force. The admin lists the first superuser as the operator, if there is one."""
    user = get_user_model().objects.filter(is_superuser=True).order_by("pk").first()
    if user is None:
        return lock_backends["default"].force_release(hold.name, hold.token)
    return release_and_record(
        Found("default", hold),
        user=user,
        address=address_of("default", hold.name),
        reason="taken away on the ticket office page",
    )


def state_of(hold: Hold) -> str:
    """Return the mishap of a holder's process: "killed", "frozen", or an empty string."""
    if hold.token in _killed:
        return "killed"
    return "frozen" if hold.holder.pid in _frozen else ""


def _holder(event: Event) -> Hold | None:
    holds, _queue = lock_backends["default"].inspect(event.get_lock_name())
    return holds[0] if holds else None


def _frozen_holder(event: Event) -> Hold | None:
    hold = _holder(event)
    return hold if hold is not None and hold.holder.pid in _frozen else None


def _charging(event: Event) -> Hold:
    """Wait until the holder is charging a card with some time left, and return its hold.

    At that moment it is not writing. Stopped during a write, it would block the database for all.
    """
    hold = None
    deadline = time.monotonic() + MOMENT_WITHIN
    while time.monotonic() < deadline:
        hold = _holder(event)
        if (
            hold is not None
            and 0.2 < hold.age / settings.CHARGE_SECONDS < 0.7
            and _has_taken_over(event, hold)
        ):
            return hold
        time.sleep(settings.CHARGE_SECONDS / 20)
    if _frozen:
        raise Impossible("A process is frozen: thaw it first.")
    if hold is not None and not _is_ours(hold.holder.pid):
        raise Impossible(NOT_OURS)
    raise Impossible("The lock is not held at the moment: send the buyers first.")


def _has_taken_over(event: Event, hold: Hold) -> bool:
    """Whether the holder has written its fence to the row.

    On a busy machine a waiter that the lock was handed to may not know it yet. Stopped then, it
    would lose its turn, but no lock, and wait for another turn.
    """
    return Event.objects.filter(pk=event.pk, fence=hold.fence).exists()


def _stopped(event: Event) -> Hold:
    """Stop the process of the holder, so that it cannot release the lock, and return the hold."""
    while True:
        hold = _charging(event)
        _signal(hold.holder.pid, signal.SIGSTOP)
        now = None
        try:
            now = _holder(event)
            # After a longer time it may be writing.
            if now and (now.token != hold.token or now.age > settings.CHARGE_SECONDS):
                now = None
        finally:
            if now is None:
                _signal(hold.holder.pid, signal.SIGCONT)
        if now is not None:
            return now


def _signal(pid: int, number: int) -> None:
    """Send a signal. Raises Impossible if the process is not one of the demo's server processes."""
    if not _is_ours(pid):
        raise Impossible(NOT_OURS)
    os.kill(pid, number)


def _is_ours(pid: int) -> bool:
    try:
        # They were all forked from one process, and share its process group.
        return pid != os.getpid() and os.getpgid(pid) == os.getpgrp()
    except ProcessLookupError:
        return False


def _report_mishap(text: str, hold: Hold) -> None:
    report("mishap", text)
    threading.Thread(target=_report_successor, args=(hold,), daemon=True).start()


def _report_successor(hold: Hold) -> None:
    """Wait for the next holder of the lock and report it, or report that the lock is free."""
    started = time.monotonic()
    try:
        successor = _successor(hold)
    except LockUnavailable:
        return
    if successor is None:
        report("relief", "The lock is free: there were no waiters.")
        return
    seconds = time.monotonic() - started
    report("relief", f"After {seconds:.1f} s the lock went to {_described(successor)}.")


def _successor(hold: Hold) -> Hold | None:
    """Return the next running holder, or None after ``FREE_FOR`` without holders and waiters.

    The lock also has no holder between the end of a lease and the turn of the first waiter. Waiters
    of a frozen process get turns too, and lose them after a moment.
    """
    deadline = time.monotonic() + FREE_FOR
    while time.monotonic() < deadline:
        holds, queue = lock_backends["default"].inspect(hold.name)
        if holds and holds[0].token != hold.token and holds[0].holder.pid not in _frozen:
            return holds[0]
        if holds or queue:
            deadline = time.monotonic() + FREE_FOR
        time.sleep(0.02)
    return None


def _described(hold: Hold) -> str:
    label = hold.holder.label or hold.holder.what
    return f"{label} (process {hold.holder.pid}, fence {short_fence(hold.fence)})"
