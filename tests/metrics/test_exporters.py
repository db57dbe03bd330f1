"""Exporters for Prometheus and OpenTelemetry, with the figures of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from threading import Event, Thread
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from django_redislock import Lock, lock, lock_backends
from django_redislock.figures.tallies import BOUNDS, MOST_FAMILIES
from django_redislock.metrics import opentelemetry, prometheus
from django_redislock.signals import lock_lost
from tests.support.processes import wait_until

ORDERS = {"alias": "memory", "family": "order:*"}
ATTRIBUTES = {"django_redislock.alias": "memory", "django_redislock.family": "order:*"}


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    exporter = prometheus.connect(registry)
    yield registry
    exporter.disconnect()


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    exporter = opentelemetry.connect(MeterProvider([reader], shutdown_on_exit=False))
    yield reader
    exporter.disconnect()


def points(reader: InMemoryMetricReader) -> dict[str, list]:
    """The data points of each instrument."""
    data = reader.get_metrics_data()
    return {
        metric.name: list(metric.data.data_points)
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def use_locks() -> None:
    """Two acquisitions, one busy answer, one loss."""
    with lock("order:1", using="memory"):
        assert not lock("order:1", using="memory").acquire(wait=0)
    lost = lock("order:2", using="memory", renew=False)
    reported = Event()
    receiver = partial(_set, reported)
    lock_lost.connect(receiver)  # comes after the existing ones
    lost.acquire()
    lost.extend(0.05)
    assert reported.wait(30)
    lock_lost.disconnect(receiver)


def _set(reported: Event, lock: Lock, **kwargs: object) -> None:
    if lock.name == "order:2":
        reported.set()


def test_prometheus_gets_all_events(registry: Any) -> None:
    use_locks()
    expected = {"acquired_total": 2, "busy_total": 1, "lost_total": 1, "wait_seconds_count": 2}
    expected["hold_seconds_count"] = 1
    found = {
        name: registry.get_sample_value(f"django_redislock_{name}", ORDERS) for name in expected
    }
    assert found == expected


def test_prometheus_gets_the_held_locks_when_it_asks(registry: Any) -> None:
    def held() -> float | None:
        return registry.get_sample_value("django_redislock_held", ORDERS)

    assert held() is None
    with lock("order:1", using="memory"), lock("order:2", using="memory"):
        assert held() == 2
    assert held() is None


def test_prometheus_can_read_it(registry: Any) -> None:
    use_locks()
    text = generate_latest(registry).decode()
    assert 'django_redislock_acquired_total{alias="memory",family="order:*"} 2.0' in text
    assert (
        'django_redislock_wait_seconds_bucket{alias="memory",family="order:*",le="0.001"}' in text
    )
    assert "order:1" not in text


def test_opentelemetry_gets_all_events(reader: Any) -> None:
    use_locks()
    with lock("order:3", using="memory"):
        found = points(reader)
    assert all(dict(one.attributes) == ATTRIBUTES for (one,) in found.values())
    assert {name: one.value for name, (one,) in found.items() if "duration" not in name} == {
        "django_redislock.acquired": 3,
        "django_redislock.busy": 1,
        "django_redislock.lost": 1,
        "django_redislock.held": 1,
    }
    (waits,), (holds,) = (found[f"django_redislock.{one}.duration"] for one in ("wait", "hold"))
    assert (waits.count, holds.count) == (3, 1)
    assert tuple(waits.explicit_bounds) == BOUNDS


@pytest.mark.parametrize("first", ["other", "all others", "*"])
def test_families_are_bounded_whatever_the_names(registry: Any, first: str) -> None:
    with lock(first, using="memory"):
        pass
    for number in range(MOST_FAMILIES - 1 + 30):
        with lock(f"{'x' * (number % 20)}-{'y' * (number // 20)}", using="memory"):
            pass
    samples = [
        sample
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "django_redislock_acquired_total"
    ]
    assert len(samples) == MOST_FAMILIES + 1
    counts = {sample.labels["family"]: sample.value for sample in samples}
    assert (counts[first], counts[""]) == (1, 30)


def test_a_hold_released_by_another_handle_has_no_length(registry: Any) -> None:
    held = lock("order:1", using="memory")
    held.acquire()
    lock("order:1", using="memory", token=held.detach()).release()
    assert registry.get_sample_value("django_redislock_hold_seconds_count", ORDERS) is None


def test_an_attempt_granted_after_a_wait_does_not_count_as_busy(registry: Any) -> None:
    def wait() -> None:
        with lock("order:1", using="memory", wait=20):
            pass

    with lock("order:1", using="memory"):
        waiting = Thread(target=wait)
        waiting.start()
        wait_until(lambda: lock_backends["memory"].inspect("order:1")[1])
    waiting.join()
    assert registry.get_sample_value("django_redislock_busy_total", ORDERS) is None
    assert registry.get_sample_value("django_redislock_acquired_total", ORDERS) == 2


@pytest.mark.parametrize("in_a_task", [False, True], ids=["thread", "task"])
def test_the_number_of_current_waiters_is_a_gauge(
    registry: Any, reader: Any, in_a_task: Any
) -> None:
    def wait() -> None:
        handle = lock("order:1", using="memory", wait=60)
        if in_a_task:
            asyncio.run(handle.aacquire())
        else:
            handle.acquire()
        handle.release()

    assert waiting(registry, reader) == (None, [])
    with lock("order:1", using="memory"):
        threads = [Thread(target=wait) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_until(lambda: waiting(registry, reader) == (2, [2]))
    for thread in threads:
        thread.join()
    assert waiting(registry, reader) == (None, [])


def waiting(registry: Any, reader: Any) -> Any:
    """The values of both gauges."""
    found = points(reader).get("django_redislock.waiting", [])
    return (
        registry.get_sample_value("django_redislock_waiting", ORDERS),
        [one.value for one in found if dict(one.attributes) == ATTRIBUTES],
    )


def test_a_receiver_that_disconnects_gets_no_more_signals() -> None:
    registry = CollectorRegistry()
    exporter = prometheus.connect(registry)
    exporter.disconnect()
    use_locks()
    assert registry.get_sample_value("django_redislock_acquired_total", ORDERS) is None
