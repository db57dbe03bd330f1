"""Application that uses a lock while it is loaded, before the server forks its workers.

No worker must use the connections, threads and handlers of that time.
"""

from __future__ import annotations

from django_redislock import lock
from tests.tasks.applications import wsgi

__all__ = ["wsgi"]

with lock("while it was loaded"):
    pass
