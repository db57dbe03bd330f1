"""Receivers of the signals that write the log ``django_redislock``."""

from __future__ import annotations

import logging
from typing import Any

from .exceptions import readable
from .signals import lock_acquired, lock_contended, lock_lost, lock_released

__all__ = ["connect", "leave_losses_to_the_program"]

LOG = "django_redislock.log"

logger = logging.getLogger("django_redislock")


def connect() -> None:
    """Connect the receivers that the logger's level enables; called once the app is ready.

    A receiver that only finds its level off would cost as much as the rest of a lock's signals. So
    a level that is lowered later has no effect.
    """
    for level, signal, receiver in (
        (logging.DEBUG, lock_acquired, log_acquired),
        (logging.DEBUG, lock_released, log_released),
        (logging.INFO, lock_contended, log_contended),
        (logging.WARNING, lock_lost, log_lost),
    ):
        if logger.isEnabledFor(level):
            signal.connect(receiver, dispatch_uid=LOG)


def leave_losses_to_the_program() -> None:
    """Do not log losses if logging is not configured, for programs that report them themselves.

    Otherwise Python would write them to standard error as well.
    """
    if not logger.hasHandlers():
        lock_lost.disconnect(dispatch_uid=LOG)


def log_acquired(*, lock: Any, waited: float, **kwargs: Any) -> None:
    logger.debug("Acquired %r after %.3f s, fence %d", lock.name, waited, lock.fence)


def log_released(*, lock: Any, held: float | None, **kwargs: Any) -> None:
    how_long = "of another handle" if held is None else f"after {held:.3f} s"
    logger.debug("Released %r %s", lock.name, how_long)


def log_contended(
    *, lock: Any, holder: object, waited: float, acquired: bool, **kwargs: Any
) -> None:
    logger.info(
        "%r %s after %.3f s; it was held by %s",
        lock.name,
        "was acquired" if acquired else "was not acquired",
        waited,
        readable(holder) if holder else "an unknown holder",
    )


def log_lost(*, lock: Any, reason: str, **kwargs: Any) -> None:
    logger.warning("Lost %r while it was held: %s", lock.name, reason)
