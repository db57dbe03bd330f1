"""Double submits, jobs that run on every server, and tests of code under a lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from django_redislock import LockedCommand, LockLost, lock, locked, locked_view
from django_redislock.testing import assert_locked, expire, held_elsewhere, override_locks
from tests.support.processes import run_in_processes

from .elsewhere import run_report

began, go_on = threading.Event(), threading.Event()


@pytest.fixture(autouse=True)
def _not_begun() -> Iterator[None]:
    began.clear()
    go_on.clear()
    yield
    go_on.set()


@locked_view("order:{number}", methods=["POST"])
def pay(request: HttpRequest, number: int) -> HttpResponse:
    began.set()
    assert go_on.wait(20)
    return HttpResponse("paid")


urlpatterns = [path("orders/<int:number>/", pay)]


@pytest.mark.urls(__name__)
def test_a_form_that_is_submitted_twice_is_handled_once() -> None:
    """django-idempotency-key#60: two requests at the same moment were both let in."""
    answers: list[Any] = []
    first = threading.Thread(target=lambda: answers.append(Client().post("/orders/7/")))
    first.start()
    assert began.wait(20)
    second = Client().post("/orders/7/")
    assert second.status_code == 423
    assert 1 <= int(second["Retry-After"]) <= 60
    go_on.set()
    first.join()
    assert answers[0].content == b"paid"


class Nightly(LockedCommand):
    lock_name = "nightly"

    def handle(self, **options: Any) -> None:
        began.set()
        assert go_on.wait(20)


def test_a_long_job_does_not_overlap_with_its_next_run() -> None:
    """django-cron#41."""
    first = threading.Thread(target=call_command, args=(Nightly(),))
    first.start()
    assert began.wait(20)
    with pytest.raises(CommandError, match="held by manage.py") as caught:
        call_command(Nightly())
    assert caught.value.returncode == 75
    go_on.set()
    first.join()


def test_a_fast_job_runs_once_when_the_clocks_of_the_servers_differ(place: Any) -> None:
    """django-cron#41: the first job has ended before the next server starts it."""
    sent = run_in_processes(_server, 3, place)
    assert sorted(sent) == ["sent", "skipped", "skipped"]


def _server(number: int, place: Any) -> str:
    return run_report(place, "nightly", late=number * 0.2)


@locked("feed:{feed_id}", wait=0, on_busy="skip", default="skipped")
def import_feed(feed_id: int) -> str:
    (hold,) = assert_locked(f"feed:{feed_id}")
    return hold.holder.what


@override_locks()
def test_code_under_a_lock_is_tested_without_a_server(settings: Any) -> None:
    """fakeredis-py#406: the stand-in lacked what the lock needs, or ignored its expiry."""
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    }
    assert import_feed(7) == f"{__name__}.import_feed"
    with held_elsewhere("feed:7"):
        assert import_feed(7) == "skipped"
    with pytest.raises(LockLost), lock("feed:7"):
        expire("feed:7")
