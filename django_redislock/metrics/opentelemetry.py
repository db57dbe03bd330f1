"""Figures of this process for OpenTelemetry. Call ``connect()`` in ``AppConfig.ready``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

try:
    from opentelemetry.metrics import (
        CallbackOptions,
        MeterProvider,
        Observation,
        get_meter_provider,
    )
except ImportError as error:
    raise ImportError(
        "django_redislock.metrics.opentelemetry needs opentelemetry-api: "
        "pip install django-redislock[opentelemetry]"
    ) from error

from ..figures.tallies import BOUNDS
from .exporting import Exporter

__all__ = ["OpenTelemetryExporter", "connect"]


def connect(provider: MeterProvider | None = None) -> OpenTelemetryExporter:
    """Record the metrics of the locks with ``provider``, by default the global one."""
    exporter = OpenTelemetryExporter(provider or get_meter_provider())
    exporter.connect()
    return exporter


class OpenTelemetryExporter(Exporter):
    """Records the figures with instruments of an OpenTelemetry meter."""

    def __init__(self, provider: MeterProvider) -> None:
        super().__init__()
        meter = provider.get_meter("django_redislock")
        self._acquisitions = meter.create_counter(
            "django_redislock.acquired", unit="{acquisition}", description="Locks acquired."
        )
        self._busy = meter.create_counter(
            "django_redislock.busy",
            unit="{attempt}",
            description="Attempts that ended without the lock.",
        )
        self._losses = meter.create_counter(
            "django_redislock.lost",
            unit="{hold}",
            description="Locks that ended while their handle believed it held.",
        )
        self._waits = meter.create_histogram(
            "django_redislock.wait.duration",
            unit="s",
            description="How long acquired locks were waited for.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        self._holds = meter.create_histogram(
            "django_redislock.hold.duration",
            unit="s",
            description="How long released locks were held.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        meter.create_observable_up_down_counter(
            "django_redislock.held",
            callbacks=[partial(_observe, self.held)],
            unit="{hold}",
            description="Locks that this process holds.",
        )
        meter.create_observable_up_down_counter(
            "django_redislock.waiting",
            callbacks=[partial(_observe, self.waiting)],
            unit="{attempt}",
            description="Attempts of this process that wait for a lock.",
        )

    def acquired(self, alias: str, family: str, waited: float) -> None:
        attributes = _attributes(alias, family)
        self._acquisitions.add(1, attributes)
        self._waits.record(waited, attributes)

    def busy(self, alias: str, family: str) -> None:
        self._busy.add(1, _attributes(alias, family))

    def released(self, alias: str, family: str, held: float) -> None:
        self._holds.record(held, _attributes(alias, family))

    def lost(self, alias: str, family: str) -> None:
        self._losses.add(1, _attributes(alias, family))


def _observe(
    figures: Callable[[], Mapping[tuple[str, str], int]], options: CallbackOptions
) -> Iterator[Observation]:
    for (alias, family), number in figures().items():
        yield Observation(number, _attributes(alias, family))


def _attributes(alias: str, family: str) -> dict[str, str]:
    return {"django_redislock.alias": alias, "django_redislock.family": family}
