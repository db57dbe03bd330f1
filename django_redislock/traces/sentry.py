"""Spans of this process's locks for Sentry. Call ``connect()`` in ``AppConfig.ready``."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

try:
    from sentry_sdk import get_client, get_current_span
    from sentry_sdk.integrations.django import DjangoIntegration
except ImportError as error:
    raise ImportError(
        "django_redislock.traces.sentry needs sentry-sdk: pip install django-redislock[sentry]"
    ) from error

from ..signals import lock_acquired, lock_contended, lock_lost, lock_released
from .spans import Span, Tracer

__all__ = ["SentryTracer", "connect"]

# The outcome of a span, as a status of Sentry.
STATUS = {
    "acquired": "ok",
    "busy": "resource_exhausted",
    "released": "ok",
    "lost": "aborted",
}


def connect() -> SentryTracer:
    """Create spans of the locks in the transactions of Sentry. Call it after ``sentry_sdk.init``.

    Sentry then creates no spans of its own for the receivers of the signals of locks.
    """
    tracer = SentryTracer()
    tracer.connect()
    return tracer


class SentryTracer(Tracer):
    """Creates children of the span that is current when a lock is acquired.

    Sentry sends a transaction when it finishes, so it does not contain holds that end later.
    """

    def connect(self) -> None:
        super().connect()
        if integration := get_client().get_integration(DjangoIntegration):
            # Sentry creates a span for each call of a receiver, which would be the parent of ours.
            integration.signals_denylist = [
                *integration.signals_denylist,
                *(lock_acquired, lock_contended, lock_released, lock_lost),
            ]

    def current(self) -> Any:
        return get_current_span()

    def make(self, span: Span) -> None:
        made = span.context.start_child(
            op=span.name, name=span.family, start_timestamp=_time(span.start)
        )
        for key, value in span.attributes.items():
            made.set_data(key, value)
        made.set_status(STATUS[span.outcome])
        made.finish(end_timestamp=_time(span.end))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
