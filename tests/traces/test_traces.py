"""Spans of waits and holds, as the SDKs of OpenTelemetry and Sentry would send them."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from django_redislock import lock, lock_backends
from django_redislock.signals import lock_acquired, lock_contended, lock_lost, lock_released
from tests.management.holds import hold
from tests.support.processes import wait_until
from tests.traces.sdks import OpenTelemetrySdk, Sdk, SentrySdk


@pytest.fixture(params=[OpenTelemetrySdk, SentrySdk])
def sdk(request: pytest.FixtureRequest) -> Iterator[Sdk]:
    sdk: Sdk = request.param()
    yield sdk
    sdk.close()


def attributes(outcome: str, family: str = "order:*", wait: float | None = None) -> dict:
    return {
        "django_redislock.alias": "memory",
        "django_redislock.family": family,
        "django_redislock.outcome": outcome,
        "django_redislock.wait": wait if wait is not None else pytest.approx(0, abs=20),
    }


def test_a_wait_and_a_hold_are_children_of_the_acquiring_span(sdk: Any) -> None:
    before = time.time()
    with sdk.trace() as parent, lock("order:42", using="memory"):
        pass
    wait, held = sdk.spans()
    assert (wait.name, held.name) == ("lock.wait", "lock.hold")
    assert wait.parent == held.parent == parent
    assert wait.attributes == attributes("acquired")
    assert held.attributes == attributes("released", wait=wait.attributes["django_redislock.wait"])
    assert before - 0.01 <= wait.start <= wait.end <= held.start + 0.001
    assert held.start <= held.end <= time.time() + 0.01
    assert not wait.failed
    assert not held.failed


def test_neither_name_nor_token_nor_label_leaves_the_process(sdk: Any) -> None:
    number = "4711" * 5  # shorter ones may be part of a random id
    name = f"order:{number}"
    with sdk.trace(), lock(name, using="memory", label="Ada", what="secret.job") as held:
        token = held.token
    for span in sdk.spans():
        assert not any(word in span.text for word in (number, "Ada", "secret.job", token))


def test_times_are_those_of_the_wait_and_of_the_hold(sdk: Any) -> None:
    hold("order:1", lease=0.3)
    with sdk.trace(), lock("order:1", using="memory", wait=30):
        time.sleep(0.2)  # time is the subject
    wait, held = sdk.spans()
    waited = wait.attributes["django_redislock.wait"]
    assert 0 < waited < 20
    assert wait.end - wait.start == pytest.approx(waited, abs=0.001)
    assert 0.19 < held.end - held.start < 20


def test_the_span_of_a_hold_ends_when_its_handle_releases(sdk: Any) -> None:
    with sdk.trace(), lock("order:1", using="memory", min_hold=600):
        pass
    _wait, held = sdk.spans()
    assert held.attributes["django_redislock.outcome"] == "released"
    assert held.end <= time.time() + 0.01


def test_a_refused_attempt_is_a_busy_wait(sdk: Any) -> None:
    hold("order:1")
    with sdk.trace() as parent:
        assert not lock("order:1", using="memory").acquire(wait=0.1)
    (wait,) = sdk.spans()
    assert (wait.name, wait.parent) == ("lock.wait", parent)
    assert wait.attributes == attributes("busy")
    assert wait.end - wait.start >= 0.1 - 0.001


def test_the_span_of_a_lost_hold_is_marked_as_lost(sdk: Any) -> None:
    with sdk.trace() as parent:
        handle = lock("order:1", using="memory", renew=False)
        handle.acquire()
        reported = threading.Event()
        lock_lost.connect(receiver := lambda **named: reported.set())  # after the tracer
        handle.extend(0.05)
        assert reported.wait(30)
        lock_lost.disconnect(receiver)
        # By now the handle has another hold, which was not lost.
        with handle:
            pass
    lost, *others = [span for span in sdk.spans() if span.name == "lock.hold"]
    assert lost.parent == parent
    assert lost.attributes == attributes("lost")
    assert lost.failed
    assert [span.attributes["django_redislock.outcome"] for span in others] == ["released"]


def test_a_hold_that_is_lost_while_its_handle_holds_again_is_distinguished(sdk: Any) -> None:
    with sdk.trace():
        handle = lock("order:1", using="memory", renew=False)
        handle.acquire()
        old = handle._hold
        old.lose("a test says so")
        handle._need = None
        lock_backends["memory"].force_release("order:1", handle.token)
        with handle:
            sdk.tracer._lost(lock=handle)
    outcomes = [one.attributes["django_redislock.outcome"] for one in sdk.spans()]
    assert sorted(outcomes) == ["acquired", "acquired", "lost", "released"]


async def test_coroutines_are_children_of_their_own_spans(sdk: Any) -> None:
    parents: dict[str, str] = {}

    async def work(name: str) -> None:
        with sdk.trace() as parent:
            async with lock(name, using="memory"):
                parents[name] = parent
                assert sdk.current() == parent
                await asyncio.sleep(0.01)

    await asyncio.gather(work("first"), work("second"))
    found = {(span.attributes["django_redislock.family"], span.parent) for span in sdk.spans()}
    assert found == set(parents.items())


def test_no_span_of_ours_becomes_current(sdk: Any) -> None:
    with sdk.trace() as parent:
        assert sdk.current() == parent
        with lock("a", using="memory"):
            assert sdk.current() == parent
        assert sdk.current() == parent


def test_a_hold_may_end_in_another_thread(sdk: Any) -> None:
    with sdk.trace() as parent:
        handle = lock("order:1", using="memory")
        handle.acquire()
        thread = threading.Thread(target=handle.release)
        thread.start()
        thread.join()
    assert [(span.name, span.parent) for span in sdk.spans()] == [
        ("lock.wait", parent),
        ("lock.hold", parent),
    ]


def test_without_a_current_trace_none_is_begun(sdk: Any) -> None:
    with lock("order:1", using="memory"):
        assert not lock("order:1", using="memory").acquire(wait=0)
    with sdk.trace():
        pass
    assert sdk.spans() == []


def test_a_joining_handle_has_no_span_of_its_own(sdk: Any) -> None:
    with sdk.trace(), lock("a", using="memory"), lock("a", using="memory", reentrant=True):
        pass
    assert [span.name for span in sdk.spans()] == ["lock.wait", "lock.hold"]


def test_no_data_of_a_detached_hold_is_kept(sdk: Any) -> None:
    kept: list[int] = []

    def give_away() -> None:
        with sdk.trace():
            handle = lock("order:1", using="memory")
            handle.acquire()
            kept.append(len(sdk.tracer._holds))
            lock("order:1", using="memory", token=handle.detach()).release()

    # A thread keeps a list of its holds until it ends.
    thread = threading.Thread(target=give_away)
    thread.start()
    thread.join()
    del thread

    def is_forgotten() -> bool:
        gc.collect()
        return len(sdk.tracer._holds) == 0

    assert kept == [1]
    wait_until(is_forgotten)
    assert [span.name for span in sdk.spans()] == ["lock.wait"]


def test_a_receiver_that_disconnects_gets_no_more_signals(sdk: Any) -> None:
    sdk.tracer.disconnect()
    with sdk.trace(), lock("a", using="memory"):
        pass
    assert sdk.spans() == []


def test_without_a_tracer_no_receiver_is_connected() -> None:
    """A lock then only checks whether each signal has receivers."""
    receivers = [lock_acquired, lock_contended, lock_released]
    sdk = OpenTelemetrySdk()
    connected = [len(signal.receivers) for signal in receivers]
    sdk.close()
    assert [len(signal.receivers) + 1 for signal in receivers] == connected


BESIDE_DJANGOS_SPANS = """
import sentry_sdk
from sentry_sdk.integrations.django import DjangoIntegration
from django.dispatch import Signal
import django
from django.conf import settings
memory = "django_redislock.backends.memory.MemoryLockBackend"
settings.configure(
    INSTALLED_APPS=["django_redislock"], LOCKS={"default": {"BACKEND": memory}}, USE_TZ=True
)
django.setup()
from django_redislock import lock
from django_redislock.traces import sentry

def sent(event, hint):
    for span in event["spans"]:
        print(span["op"], span["parent_span_id"] == event["contexts"]["trace"]["span_id"])

other = Signal()
sentry_sdk.init(
    dsn="http://key@localhost/1",
    before_send_transaction=sent,
    traces_sample_rate=1.0,
    default_integrations=False,
    integrations=[DjangoIntegration(signals_denylist=[other])],
)
sentry.connect()
with sentry_sdk.start_transaction(name="request"), lock("a"):
    pass
assert other in sentry_sdk.get_client().get_integration(DjangoIntegration).signals_denylist
"""


def test_spans_are_no_children_of_those_that_sentry_creates_for_signals() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BESIDE_DJANGOS_SPANS],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stderr, done.stdout) == ("", "lock.wait True\nlock.hold True\n")
