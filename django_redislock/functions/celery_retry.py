"""Retry of a Celery task that finds its lock busy."""

from __future__ import annotations

import sys

from ..estimates import retry_after
from ..exceptions import LockNotAcquired

__all__ = ["retry_task"]


def retry_task(error: LockNotAcquired) -> None:
    """Retry the current Celery task when the hold in its way should have ended.

    The task's own ``max_retries`` limits how often. Raises what Celery's ``retry()`` raises; does
    nothing unless a worker is running a task.
    """
    # Code that runs in a task has imported Celery already; other code is spared the import.
    module = sys.modules.get("celery")
    task = module and module.current_task
    if task and not task.request.called_directly:
        task.retry(exc=error, countdown=retry_after(error))
