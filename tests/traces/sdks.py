"""SDKs of both kinds, which keep their spans in memory, with one interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import sentry_sdk
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_current_span
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from django_redislock.traces import opentelemetry, sentry

__all__ = ["OpenTelemetrySdk", "Sdk", "SeenSpan", "SentrySdk"]

PARENT = "request"


class SeenSpan(NamedTuple):
    """A span of ours. Times are in seconds since 1970."""

    name: str
    parent: str
    start: float
    end: float
    attributes: dict[str, Any]
    failed: bool
    text: str


class Sdk:
    """The interface of both SDKs for the tests."""

    def trace(self) -> AbstractContextManager[str]:
        """A span of the application, current in the block, which gets its id."""
        raise NotImplementedError

    def current(self) -> str:
        """The id of the span that is current; empty if there is none."""
        raise NotImplementedError

    def spans(self) -> list[SeenSpan]:
        """Our spans, of the traces that are over, in the order in which they were made."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class OpenTelemetrySdk(Sdk):
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = opentelemetry.connect(self.provider)

    @contextmanager
    def trace(self) -> Iterator[str]:
        with self.provider.get_tracer("test").start_as_current_span(PARENT):
            yield self.current()

    def current(self) -> str:
        context = get_current_span().get_span_context()
        return f"{context.span_id:016x}" if context.is_valid else ""

    def spans(self) -> list[SeenSpan]:
        return [self.seen(one) for one in self.exporter.get_finished_spans() if one.name != PARENT]

    def seen(self, span: ReadableSpan) -> SeenSpan:
        assert span.start_time is not None
        assert span.end_time is not None
        return SeenSpan(
            name=span.name,
            parent=f"{span.parent.span_id:016x}" if span.parent else "",
            start=span.start_time / 1e9,
            end=span.end_time / 1e9,
            attributes=dict(span.attributes or {}),
            failed=span.status.status_code is StatusCode.ERROR,
            text=span.to_json(),
        )

    def close(self) -> None:
        self.tracer.disconnect()
        self.provider.shutdown()


class Collector(Transport):
    """A transport that keeps the data instead of sending it."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        event = envelope.get_transaction_event()
        if event is not None:
            self.events.append(dict(event))


class SentrySdk(Sdk):
    def __init__(self) -> None:
        self.client = sentry_sdk.Client(
            dsn="http://key@localhost/1",
            transport=Collector,
            traces_sample_rate=1.0,
            default_integrations=False,
            auto_enabling_integrations=False,
            enable_backpressure_handling=False,
        )
        self.scope = sentry_sdk.get_global_scope()
        self.scope.set_client(self.client)
        self.tracer = sentry.connect()

    @contextmanager
    def trace(self) -> Iterator[str]:
        with sentry_sdk.isolation_scope(), sentry_sdk.start_transaction(name=PARENT, op="test"):
            yield self.current()

    def current(self) -> str:
        span = sentry_sdk.get_current_span()
        return span.span_id if span is not None else ""

    def spans(self) -> list[SeenSpan]:
        assert isinstance(self.client.transport, Collector)
        events = self.client.transport.events
        return [self.seen(span) for event in events for span in event["spans"]]

    def seen(self, span: dict[str, Any]) -> SeenSpan:
        data = {k: v for k, v in span["data"].items() if k.startswith("django_redislock.")}
        assert span["description"] == data["django_redislock.family"]
        return SeenSpan(
            name=span["op"],
            parent=span["parent_span_id"],
            start=_seconds(span["start_timestamp"]),
            end=_seconds(span["timestamp"]),
            attributes=data,
            # Earlier releases have it among the tags.
            failed="aborted" in (span.get("status"), span.get("tags", {}).get("status")),
            text=repr(span),
        )

    def close(self) -> None:
        self.tracer.disconnect()
        self.scope.set_client(None)
        self.client.close()


def _seconds(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    # Python 3.10 does not know the Z.
    return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
