"""Spans of this process's locks for OpenTelemetry. Call ``connect()`` in ``AppConfig.ready``."""

from __future__ import annotations

from typing import Any

try:
    from opentelemetry.context import get_current
    from opentelemetry.trace import (
        StatusCode,
        TracerProvider,
        get_current_span,
        get_tracer_provider,
    )
except ImportError as error:
    raise ImportError(
        "django_redislock.traces.opentelemetry needs opentelemetry-api: "
        "pip install django-redislock[opentelemetry]"
    ) from error

from .spans import Span, Tracer

__all__ = ["OpenTelemetryTracer", "connect"]

NANOSECONDS = 1_000_000_000


def connect(provider: TracerProvider | None = None) -> OpenTelemetryTracer:
    """Create the spans of the locks with ``provider``, by default the global one."""
    tracer = OpenTelemetryTracer(provider or get_tracer_provider())
    tracer.connect()
    return tracer


class OpenTelemetryTracer(Tracer):
    """Creates children of the span that is current when a lock is acquired, but no new traces."""

    def __init__(self, provider: TracerProvider) -> None:
        super().__init__()
        self._tracer = provider.get_tracer("django_redislock")

    def current(self) -> Any:
        return get_current() if get_current_span().get_span_context().is_valid else None

    def make(self, span: Span) -> None:
        made = self._tracer.start_span(
            span.name,
            context=span.context,
            start_time=round(span.start * NANOSECONDS),
            attributes=span.attributes,
        )
        if span.outcome == "lost":
            made.set_status(StatusCode.ERROR)
        made.end(round(span.end * NANOSECONDS))
