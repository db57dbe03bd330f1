"""An application that has used a lock while it was loaded, before the server forks its workers.

What it has got by that (connections, threads, handlers) no worker must use.
"""

from __future__ import annotations

from django_redislock import lock
from tests.tasks.applications import wsgi

__all__ = ["wsgi"]

with lock("while it was loaded"):
    pass
