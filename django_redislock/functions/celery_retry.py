"""Retry of a Celery task that finds its lock busy."""

from __future__ import annotations

import sys

from ..estimates import retry_after
from ..exceptions import LockNotAcquired

__all__ = ["retry_task"]


def retry_task(error: LockNotAcquired) -> None:
    """Leave the present Celery task, to be tried again when the hold in its way should have ended.

    How often is the task's own matter (``max_retries``). Raises what Celery's ``retry()`` raises;
    does nothing where no worker runs a task.
    """
    # Code that runs in a task has imported Celery; nobody else pays for the import.
    module = sys.modules.get("celery")
    task = module and module.current_task
    if task and not task.request.called_directly:
        task.retry(exc=error, countdown=retry_after(error))
