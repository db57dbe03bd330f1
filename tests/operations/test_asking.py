"""Requests to several backends at once, so that a page waits for one time-out at most."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from django.test import Client

from django_redislock import lock_backends
from django_redislock.exceptions import LockUnavailable
from django_redislock.operations.asking import ask_all
from tests.admin.pages import PAGE, RELEASE, page, references, text_of
from tests.management.holds import hold
from tests.support.processes import wait_until

ALIASES = ["default", "memory"]


class Hang:
    """Backends that do not answer, each before the others have been asked as well."""

    def __init__(self) -> None:
        self.together = threading.Barrier(len(ALIASES))

    def __call__(self, *args: Any) -> Any:
        self.together.wait(timeout=20)
        raise LockUnavailable("it did not answer in time")


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Hang:
    hang = Hang()
    for alias in ALIASES:
        for verb in ("entries", "tallies", "entries_of"):
            monkeypatch.setattr(lock_backends[alias], verb, hang)
    return hang


def test_answers_and_silent_backends_are_in_order(hang: Hang) -> None:
    answers, silent = ask_all(ALIASES, lambda alias, _backend: alias.upper())
    assert answers == {"default": "DEFAULT", "memory": "MEMORY"}
    assert silent == []
    answers, silent = ask_all([*ALIASES, "absent"], lambda _, backend: str(backend.entries()))
    assert answers == {}
    assert [one.alias for one in silent] == [*ALIASES, "absent"]


def test_other_errors_are_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        ask_all(ALIASES, lambda _alias, _backend: 1 // 0)


def test_an_interruption_ends_the_wait_for_hanging_backends() -> None:
    hung = threading.Event()
    answered: list[bool] = []
    together = threading.Barrier(len(ALIASES))

    def ask(alias: str, _backend: object) -> None:
        together.wait(timeout=20)
        if alias == ALIASES[0]:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        hung.wait(timeout=20)
        # The end of the process must not wait for it either.
        answered.append(threading.current_thread().daemon)

    with pytest.raises(KeyboardInterrupt):
        ask_all(ALIASES, ask)
    assert answered == []
    hung.set()
    wait_until(lambda: answered == [True, True])


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["", "?q=a", "?o=-age", "?o=-ttl", "hot/"])
def test_a_page_waits_for_all_hanging_backends_at_once(
    admin_client: Client, hang: Hang, path: str
) -> None:
    html = text_of(page(admin_client, f"{PAGE}{path}"))
    for alias in ALIASES:
        assert f"The locks of the backend “{alias}” cannot be shown." in html


@pytest.mark.django_db
def test_a_release_waits_for_all_hanging_backends_at_once(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for alias in ALIASES:
        hold(f"on {alias}", alias)
    chosen: Sequence[str] = references(page(admin_client))
    assert len(chosen) == 2
    hang = Hang()
    for alias in ALIASES:
        monkeypatch.setattr(lock_backends[alias], "entries_of", hang)
    html = admin_client.post(RELEASE, {"hold": chosen}, follow=True).content.decode()
    assert text_of(html).count("may still be held: it did not answer in time") == 2
