"""Figures of this process for Prometheus. Call ``connect()`` in ``AppConfig.ready``."""

from __future__ import annotations

from collections.abc import Iterator

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
    from prometheus_client.metrics_core import GaugeMetricFamily
except ImportError as error:
    raise ImportError(
        "django_redislock.metrics.prometheus needs prometheus_client: "
        "pip install django-redislock[prometheus]"
    ) from error

from ..figures.tallies import BOUNDS
from .exporting import Exporter

__all__ = ["PrometheusExporter", "connect"]

LABELS = ("alias", "family")


def connect(registry: CollectorRegistry = REGISTRY) -> PrometheusExporter:
    """Register the metrics of the locks in ``registry``.

    Raises ``ValueError`` if it already has metrics with these names.
    """
    exporter = PrometheusExporter(registry)
    exporter.connect()
    return exporter


class PrometheusExporter(Exporter):
    """Counters and histograms that a registry collects."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._acquisitions = Counter(
            "django_redislock_acquired_total", "Locks acquired.", LABELS, registry=registry
        )
        self._busy = Counter(
            "django_redislock_busy_total",
            "Attempts that ended without the lock.",
            LABELS,
            registry=registry,
        )
        self._losses = Counter(
            "django_redislock_lost_total",
            "Locks that ended while their handle believed it held.",
            LABELS,
            registry=registry,
        )
        self._waits = Histogram(
            "django_redislock_wait_seconds",
            "How long acquired locks were waited for.",
            LABELS,
            buckets=BOUNDS,
            registry=registry,
        )
        self._holds = Histogram(
            "django_redislock_hold_seconds",
            "How long released locks were held.",
            LABELS,
            buckets=BOUNDS,
            registry=registry,
        )
        registry.register(self)

    def acquired(self, alias: str, family: str, waited: float) -> None:
        self._acquisitions.labels(alias, family).inc()
        self._waits.labels(alias, family).observe(waited)

    def busy(self, alias: str, family: str) -> None:
        self._busy.labels(alias, family).inc()

    def released(self, alias: str, family: str, held: float) -> None:
        self._holds.labels(alias, family).observe(held)

    def lost(self, alias: str, family: str) -> None:
        self._losses.labels(alias, family).inc()

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "django_redislock_held", "Locks that this process holds.", labels=LABELS
        )
        yield GaugeMetricFamily(
            "django_redislock_waiting",
            "Attempts of this process that wait for a lock.",
            labels=LABELS,
        )

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges; called by the registry for each scrape."""
        for gauge, figures in zip(self.describe(), (self.held(), self.waiting()), strict=True):
            for labels, number in figures.items():
                gauge.add_metric(labels, number)
            yield gauge
