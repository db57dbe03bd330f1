"""Transactions and permissions of class views with ``LockedViewMixin``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import View

from django_redislock import LockedViewMixin
from django_redislock.signals import lock_acquired

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


class Sale(LockedViewMixin, View):
    lock_name = "sale"

    def post(self, request: HttpRequest) -> HttpResponse:
        depth = len(connection.savepoint_ids) + connection.in_atomic_block
        return HttpResponse(f"in {depth}")


class Another(LockedViewMixin, View):
    lock_name = "another"
    post = Sale.post


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class NotAtomic(Sale):
    pass


@method_decorator(never_cache, name="dispatch")
class Members(LoginRequiredMixin, Sale):
    pass


class WritesBefore(Sale):
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        before = connection.in_atomic_block
        response = super().dispatch(request, *args, **kwargs)
        response.write(f", and {before} before")
        return response


urlpatterns = [
    path("not-atomic/", transaction.non_atomic_requests(Sale.as_view())),
    path("not-atomic-class/", NotAtomic.as_view()),
    path("sale/", Sale.as_view()),
    path("another/", Another.as_view()),
    path("members/", Members.as_view()),
    path("writes-before/", WritesBefore.as_view()),
]


@pytest.fixture(autouse=True)
def _atomic_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)


@pytest.fixture
def at_acquire() -> Iterator[Any]:
    """Whether a transaction was open when the lock was taken, for each time."""
    open_then: list[bool] = []

    def note(**kwargs: Any) -> None:
        open_then.append(connection.in_atomic_block)

    lock_acquired.connect(note)
    yield open_then
    lock_acquired.disconnect(note)


def test_only_the_view_marked_non_atomic_is_non_atomic() -> None:
    answers = {
        url: Client().post(f"/{url}/").content.decode()
        for url in ("not-atomic", "not-atomic-class", "sale", "another")
    }
    assert answers == {
        "not-atomic": "in 0",
        "not-atomic-class": "in 0",
        "sale": "in 1",
        "another": "in 1",
    }


def test_permissions_are_checked_before_the_lock_and_the_transaction(at_acquire: Any) -> None:
    client = Client()
    client.force_login(User.objects.create_user("ada"))
    assert client.post("/members/").content == b"in 1"
    assert at_acquire == [False]


def test_writes_of_a_custom_dispatch_are_in_the_transaction(at_acquire: Any) -> None:
    assert Client().post("/writes-before/").content == b"in 1, and True before"
    assert at_acquire == [True]
