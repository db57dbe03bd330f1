"""Requests that read, change and write one row, each in the transaction of ATOMIC_REQUESTS.

The naive view, whose lock is free before Django commits, is run beside ours: it loses updates.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from redis import Redis

from django_redislock import locked_view
from tests.rows.databases import ON_SERVERS

CLIENTS = 4

pytestmark = pytest.mark.timeout(300)


def count_up(database: str, pk: int) -> HttpResponse:
    row = Group.objects.using(database).get(pk=pk)
    row.name = str(int(row.name) + 1)
    row.save()
    return HttpResponse(row.name)


@locked_view("counter:{database}:{pk}", wait=60)
def ours(request: HttpRequest, database: str, pk: int) -> HttpResponse:
    return count_up(database, pk)


def naive(request: HttpRequest, database: str, pk: int) -> HttpResponse:
    with Redis.from_url(django_settings.REDIS_URL) as client:
        with client.lock(f"naive:{database}:{pk}", timeout=60, sleep=0.001):
            response = count_up(database, pk)
    # The rest of the view after the guarded part: here, one more round trip.
    Group.objects.using(database).count()
    return response


urlpatterns = [
    path("ours/<str:database>/<int:pk>/", ours),
    path("naive/<str:database>/<int:pk>/", naive),
]


@pytest.fixture(autouse=True)
def _urls(settings: object) -> None:
    settings.ROOT_URLCONF = __name__  # type: ignore[attr-defined]


def lost(view: str, database: str, rounds: int) -> int:
    """How many of the requests of all clients were lost."""
    Group.objects.using(database).all().delete()
    row = Group.objects.using(database).create(name="0")

    def send(_: int) -> None:
        browser = Client()
        try:
            for _round in range(rounds):
                assert browser.post(f"/{view}/{database}/{row.pk}/").status_code == 200
        finally:
            connections[database].close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(send, range(CLIENTS)))
    row.refresh_from_db(using=database)
    return CLIENTS * rounds - int(row.name)


@pytest.fixture(autouse=True)
def _atomic_requests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    database = request.getfixturevalue("database")
    # All threads share the dictionary from which their connections are made.
    monkeypatch.setitem(connections.settings[database], "ATOMIC_REQUESTS", True)


@ON_SERVERS
def test_no_request_is_lost(database: str) -> None:
    assert lost("ours", database, 100) == 0


@ON_SERVERS
def test_the_naive_view_loses_some(database: str) -> None:
    assert any(lost("naive", database, 50) for _ in range(5))
