"""Mishaps of a process that holds a lock, brought about on purpose: killed, frozen, robbed of it.

Only the server processes that the demo has started are harmed.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from django_redislock import LockUnavailable, lock_backends
from django_redislock.admin.references import address_of
from django_redislock.backends.base import Hold
from django_redislock.operations.audit import recorded

from .answers import short_fence
from .news import report

MOMENT_WITHIN = 2.0  # seconds to wait for a holder that is charging a card
FREE_FOR = 1.0  # seconds without a holder and a waiter, after which the lock counts as free

_killed: set[str] = set()  # tokens of holders
_frozen: set[int] = set()  # processes


class Impossible(Exception):
    """There is nobody to harm; the message is for the visitor."""


def kill(name: str) -> None:
    """Kill the process that holds the lock. Raises Impossible and LockUnavailable."""
    hold = _frozen_holder(name) or _stopped(name)
    _frozen.discard(hold.holder.pid)
    _killed.add(hold.token)
    _signal(hold.holder.pid, signal.SIGKILL)
    text = _("%(holder)s was killed. Its lease runs on for up to %(lease).0f s.")
    _report_mishap(text, hold)


def freeze(name: str) -> None:
    """Stop the process that holds the lock. Raises Impossible and LockUnavailable."""
    hold = _stopped(name)
    _frozen.add(hold.holder.pid)
    _report_mishap(_("%(holder)s was frozen. Its lease is not renewed any more."), hold)


def thaw(name: str) -> None:
    """Let all frozen processes go on. Raises Impossible if there is none."""
    if not _frozen:
        raise Impossible(_("No process is frozen."))
    while _frozen:
        pid = _frozen.pop()
        report("relief", _("Process %(pid)d goes on, as if nothing had happened.") % {"pid": pid})
        _signal(pid, signal.SIGCONT)


def release(name: str) -> None:
    """Take the lock from its holder, which goes on unless it is frozen.

    Raises Impossible and LockUnavailable.
    """
    hold = _frozen_holder(name) or _charging(name)
    if not _release_by_force(hold):
        raise Impossible(_("The lock had another holder meanwhile. Try again."))
    if hold.holder.pid in _frozen:
        text = _("The lock was taken from %(holder)s, which is frozen and does not know it yet.")
    else:
        text = _("The lock was taken from %(holder)s, which goes on.")
    _report_mishap(text, hold)


def _release_by_force(hold: Hold) -> bool:
    """Release by force. The admin lists it under the first superuser, if there is one."""
    backend = lock_backends["default"]

    def release() -> bool:
        return backend.force_release(hold.name, hold.token)

    user = get_user_model().objects.filter(is_superuser=True).order_by("pk").first()
    if user is None:
        return release()
    return recorded(
        release,
        user=user,
        alias="default",
        address=address_of("default", hold.name),
        hold=hold,
        reason=_("taken away on the page of the ticket office"),
    )


def state_of(hold: Hold) -> str:
    """What has happened to the process of a holder: "killed", "frozen", or nothing."""
    if hold.token in _killed:
        return "killed"
    return "frozen" if hold.holder.pid in _frozen else ""


def _holder(name: str) -> Hold | None:
    holds, _queue = lock_backends["default"].inspect(name)
    return holds[0] if holds else None


def _frozen_holder(name: str) -> Hold | None:
    hold = _holder(name)
    return hold if hold is not None and hold.holder.pid in _frozen else None


def _charging(name: str) -> Hold:
    """The holder, once it is charging a card and has a while to go.

    Then it is not in the middle of writing: stopped there, it would keep the database from all.
    """
    deadline = time.monotonic() + MOMENT_WITHIN
    while time.monotonic() < deadline:
        hold = _holder(name)
        if hold is not None and 0.2 < hold.age / settings.CHARGE_SECONDS < 0.5:
            return hold
        time.sleep(settings.CHARGE_SECONDS / 20)
    if _frozen:
        raise Impossible(_("A process is frozen: let it go on first."))
    raise Impossible(_("Nobody holds the lock at the moment: send the buyers first."))


def _stopped(name: str) -> Hold:
    """The holder, whose process does not run any more and so cannot release it."""
    while True:
        hold = _charging(name)
        _signal(hold.holder.pid, signal.SIGSTOP)
        now = None
        try:
            now = _holder(name)
        finally:
            if now is None or now.token != hold.token:
                _signal(hold.holder.pid, signal.SIGCONT)
        if now is not None and now.token == hold.token:
            return now


def _signal(pid: int, number: int) -> None:
    """Raises Impossible for a process that is not one of the demo's server processes."""
    try:
        # They were all forked from one, in a process group of their own.
        is_ours = pid != os.getpid() and os.getpgid(pid) == os.getpgrp()
        if is_ours:
            os.kill(pid, number)
    except ProcessLookupError:
        is_ours = False
    if not is_ours:
        raise Impossible(_("The holder is no process of the demo: start “manage.py demo”."))


def _report_mishap(text: str, hold: Hold) -> None:
    report("mishap", text % {"holder": _described(hold), "lease": hold.remaining})
    threading.Thread(target=_report_successor, args=(hold,), daemon=True).start()


def _report_successor(hold: Hold) -> None:
    """Wait until somebody else holds the lock, and report who and when, or that it is free."""
    started = time.monotonic()
    try:
        successor = _successor(hold)
    except LockUnavailable:
        return
    if successor is None:
        report("relief", _("The lock is free: nobody waited."))
        return
    text = _("After %(seconds).1f s the lock went to %(holder)s.")
    fields = {"seconds": time.monotonic() - started, "holder": _described(successor)}
    report("relief", text % fields)


def _successor(hold: Hold) -> Hold | None:
    """The next holder that runs, or None once nobody has held the lock or waited for ``FREE_FOR``.

    Between the end of a lease and the turn of the first waiter the lock has no holder either. A
    frozen process may have waiters, too: each is given its turn, and loses it after a moment.
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
    return _("%(label)s (process %(pid)d, fence %(fence)s)") % {
        "label": hold.holder.label or hold.holder.what,
        "pid": hold.holder.pid,
        "fence": short_fence(hold.fence),
    }
