"""Audit of forced releases: in the Python log, and for the admin also in Django's admin log."""

from __future__ import annotations

import getpass
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import DatabaseError, router, transaction
from django.utils.translation import gettext as _, override

from ..backends.base import Hold
from ..exceptions import LockUnavailable, readable
from ..handler import lock_backends
from ..models import Lock
from .selection import Found

if TYPE_CHECKING:
    from django.contrib.admin.models import LogEntry

__all__ = [
    "log_cleared_lock",
    "log_clearlocks_run",
    "object_id_of",
    "operator",
    "release_and_record",
]

logger = logging.getLogger("django_redislock")


def log_release(hold: Hold, by: str, reason: str) -> None:
    """Write one line to the logger ``django_redislock``, with 8 characters of the token."""
    logger.warning(
        "Released %r by force: %s, token %s…, fence %d; by %s%s",
        hold.name,
        readable(hold.holder),
        hold.token[:8],
        hold.fence,
        readable(by),
        _because(reason),
    )


def log_unanswered(hold: Hold, by: str, reason: str) -> None:
    """Log a release that got no answer; nothing else records it."""
    logger.warning(
        "No answer to the forced release of %r, token %s…, fence %d; by %s%s",
        hold.name,
        hold.token[:8],
        hold.fence,
        readable(by),
        _because(reason),
    )


def log_cleared_lock(alias: str, name: str, token: str) -> None:
    """Log one lock that a command released. At level INFO, as there may be a million."""
    logger.info("Cleared %r of LOCKS[%r], token %s…", name, alias, token[:8])


def log_clearlocks_run(count: int, of: int, chosen: str, by: str, reason: str) -> None:
    """Log how many locks a command released. A command has no Django user, so it leaves no entry
    in the admin's log.

    ``of``: how many locks it had found. ``chosen``: the selectors that it was given.
    """
    logger.warning(
        "clearlocks released %d of %d lock(s) by force (%s); by %s%s",
        count,
        of,
        readable(chosen),
        readable(by),
        _because(reason),
    )


def _because(reason: str) -> str:
    return f", reason: {readable(reason)}" if reason else ""


def operator() -> str:
    """Return the operating system user who runs this process, for the log of a command."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown user"
    behind = os.environ.get("SUDO_USER")
    sudo = f" (sudo by {behind})" if behind else ""
    return f"{user}{sudo} on {socket.gethostname()}"


def release_and_record(found: Found, *, user: Any, address: str, reason: str) -> bool:
    """Release a hold by force and add an entry to the admin's log: both, or neither.

    Raises ``LockUnavailable``. If the outcome of the release is unknown, or if the database fails
    after it, the Python log still records it.
    """
    from django.contrib.admin.models import LogEntry

    alias, hold = found
    using = router.db_for_write(LogEntry)
    by = str(user.get_username())
    try:
        with transaction.atomic(using=using):
            # Written first: if the database fails here, the lock is not released unrecorded.
            entry = _entry(user=user, alias=alias, address=address, hold=hold, reason=reason)
            released = lock_backends[alias].force_release(hold.name, hold.token)
            if released:
                # Before the commit: if that fails, this is the only record of the release.
                log_release(hold, by, reason)
            else:
                entry.delete(using=using)
    except LockUnavailable as error:
        if error.asked:
            log_unanswered(hold, by, reason)
        raise
    except DatabaseError:
        logger.exception("The release of %r by force cannot be recorded", hold.name)
        raise
    return released


def object_id_of(address: str) -> str:
    """Return the address of a name in the form in which the admin's log stores it."""
    # PostgreSQL's text types cannot store NUL.
    return address.replace("\0", r"\x00")


def _entry(*, user: Any, alias: str, address: str, hold: Hold, reason: str) -> LogEntry:
    from django.contrib.admin.models import CHANGE, LogEntry
    from django.contrib.contenttypes.models import ContentType

    # The whole log is in one language, whichever language the user has.
    with override(settings.LANGUAGE_CODE):
        what = _(
            "Released by force. Backend: %(alias)s. Holder: %(holder)s. Token: %(token)s…, "
            "fence %(fence)s. Reason: %(reason)s"
        ) % {
            "alias": alias,
            "holder": readable(hold.holder),
            "token": hold.token[:8],
            "fence": hold.fence,
            "reason": readable(reason) or _("not given"),
        }
    entry = LogEntry(
        user_id=user.pk,
        content_type_id=ContentType.objects.get_for_model(Lock).pk,
        object_id=object_id_of(address),
        object_repr=readable(hold.name)[:200],
        action_flag=CHANGE,
        change_message=what,
    )
    entry.save(force_insert=True)
    return entry
