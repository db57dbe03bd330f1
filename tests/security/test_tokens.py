"""Tokens, which end holds and are therefore never shown or logged."""

from __future__ import annotations

import logging
import traceback
import warnings
from typing import Any

import pytest
from django.test import Client
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from django_redislock import (
    Lock,
    LockError,
    LockLost,
    LockNotAcquired,
    LockUnavailable,
    lock,
    lock_backends,
)
from django_redislock.metrics import prometheus
from django_redislock.signals import (
    lock_acquired,
    lock_contended,
    lock_lost,
    lock_released,
)
from django_redislock.testing.servers import EmbeddedServer
from tests.admin.pages import page, release
from tests.management.holds import hold, queue
from tests.security.pages import address, ask, held, views
from tests.support.commands import output_of
from tests.support.fixtures import UsePlace

SIGNALS = {
    "acquired": lock_acquired,
    "contended": lock_contended,
    "lost": lock_lost,
    "released": lock_released,
}
# The number of characters of a token by which the log and the pages distinguish holds.
SHOWN = 8


def shows(text: str, token: str) -> bool:
    """Whether a text has more of a token than these characters."""
    return token[: SHOWN + 4] in text or token[SHOWN:] in text


@pytest.mark.django_db
@pytest.mark.parametrize("view", views())
@pytest.mark.parametrize("using", ["default", "memory"])
def test_no_page_has_a_token(admin_client: Client, view: str, using: str) -> None:
    tokens = [hold("a", using), hold("b", using)]
    queue("a", using)
    response = ask(admin_client, view, "a", held(admin_client))
    assert response.status_code == 200
    assert [one for one in tokens if shows(response.content.decode(), one)] == []


@pytest.mark.django_db
def test_no_page_has_the_token_of_a_released_hold(admin_client: Client) -> None:
    token = hold("a")
    said = release(admin_client, page(admin_client))
    assert "1 lock was released" in said
    for view in ("released", "change"):
        html = admin_client.get(address(view, "a")).content.decode()
        assert "Released by force" in html
        assert not shows(said + html, token)


def own_holds(using: str) -> list[Lock]:
    """Handles whose holds were acquired, contended, renewed, lost and released."""
    held, refused, lost = (lock("a", using=using, wait=0.05) for _ in range(3))
    with held:
        assert not refused.acquire()
        held.extend()
    lost.acquire()
    lock_backends[using].force_release("a", lost.token)
    with pytest.raises(LockLost):
        lost.release()
    return [held, refused, lost]


@pytest.mark.parametrize("using", ["default", "memory"])
def test_no_line_of_the_log_has_a_token(using: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    handles = own_holds(using)
    token = hold("b", using)
    output = output_of("listlocks", backend=using)
    output += output_of("listlocks", backend=using, format="json")
    output += output_of("clearlocks", backend=using, all=True, interactive=False)
    assert "b" in output
    logged = "\n".join(f"{vars(record)}" for record in caplog.records)
    assert "Cleared 'b'" in logged
    for one in (token, *(handle.token for handle in handles)):
        assert not shows(logged, one)
        assert not shows(output, one)


@pytest.mark.parametrize("using", ["default", "memory"])
def test_no_argument_of_a_signal_has_a_token(using: str) -> None:
    received: list[str] = []

    def receive(sender: Any, **named: Any) -> None:
        received.append(f"{sender!r} {named!r}")

    for signal in SIGNALS.values():
        signal.connect(receive)
    try:
        handles = own_holds(using)
    finally:
        for signal in SIGNALS.values():
            signal.disconnect(receive)
    assert len(received) >= len(SIGNALS)
    assert [one for one in received for handle in handles if shows(one, handle.token)] == []


def test_no_repr_has_a_token() -> None:
    several = lock(["a", "b"], using="memory")
    with several, lock("c", using="memory") as held:
        (found,) = lock_backends["memory"].inspect("c")[0]
        shown = f"{held!r} {held!s} {several!r} {held.holder!r} {held.backend!r} {held.lost!r}"
        assert found.token == held.token
        for token in (held.token, *several.tokens.values()):
            assert not shows(shown, token)


def errors_of(using: str) -> list[tuple[LockError, str]]:
    """Errors of each kind, and the token of each."""
    held, refused = lock("a", using=using), lock("a", using=using, wait=0)
    with held:
        with pytest.raises(LockNotAcquired) as busy, refused:
            pass
        with pytest.raises(LockError) as twice:
            held.acquire()
    with pytest.raises(LockError) as not_held:
        held.release()
    lost = lock("a", using=using)
    lost.acquire()
    lock_backends[using].force_release("a", lost.token)
    with pytest.raises(LockLost) as error:
        lost.extend()
    return [
        (busy.value, refused.token),
        (busy.value, held.token),
        (twice.value, held.token),
        (not_held.value, held.token),
        (error.value, lost.token),
    ]


@pytest.mark.parametrize("using", ["default", "memory"])
def test_no_error_has_a_token(using: str) -> None:
    for error, token in errors_of(using):
        shown = "".join(traceback.format_exception(error))
        assert not shows(f"{shown} {error!r} {error.args!r} {vars(error)!r}", token)


def test_no_error_of_an_unreachable_server_has_a_token(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    use(own_server.url)
    held, other = lock("a", lease=60), lock("b", wait=0)
    held.acquire()
    own_server.kill()
    for verb, handle in ((held.extend, held), (held.release, held), (other.acquire, other)):
        with pytest.raises(LockUnavailable) as error:
            verb()
        shown = "".join(traceback.format_exception(error.value))
        assert error.value.__cause__ is not None
        assert not shows(f"{shown} {error.value!r} {error.value.__cause__!r}", handle.token)
    own_server.restart()


def test_no_warning_has_a_token() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dropped = lock("a", using="memory", lease=60)
        dropped.acquire()
        token = dropped.token
        del dropped
    assert any("was dropped without release()" in str(one.message) for one in caught)
    assert [one for one in caught if shows(str(one.message), token)] == []
    lock_backends["memory"].release("a", token)


def test_no_metric_has_a_token() -> None:
    registry = CollectorRegistry()
    exporter = prometheus.connect(registry)
    try:
        handles = own_holds("memory")
        text = generate_latest(registry).decode()
    finally:
        exporter.disconnect()
    assert 'family="a"' in text
    assert [one for one in handles if shows(text, one.token)] == []
