"""Applications with which the servers of the tests are started."""

from __future__ import annotations

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

from django_redislock.asgi import release_locks_at_shutdown

wsgi = get_wsgi_application()
asgi = get_asgi_application()
asgi_with_lifespan = release_locks_at_shutdown(asgi)
