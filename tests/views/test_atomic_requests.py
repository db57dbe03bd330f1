"""ATOMIC_REQUESTS in ``locked_view``: lock, atomic, view, last check, commit, release."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.generic import View
from rest_framework.response import Response
from rest_framework.views import APIView

from django_redislock import LockedViewMixin, LockLost, locked_view
from django_redislock.signals import lock_released
from tests.support.another_thread import is_free

pytestmark = pytest.mark.django_db(transaction=True)


def write(request: Any) -> HttpResponse:
    Group.objects.create(name="written")
    depth = len(connection.savepoint_ids) + connection.in_atomic_block
    return HttpResponse(f"in {depth}")


@locked_view("sale")
def sale(request: HttpRequest) -> HttpResponse:
    return write(request)


@locked_view("sale")
def fails(request: HttpRequest) -> HttpResponse:
    write(request)
    raise ZeroDivisionError


@locked_view("sale")
def loses(request: HttpRequest) -> HttpResponse:
    response = write(request)
    held: Any = request.lock  # type: ignore[attr-defined]
    assert held.backend.force_release(held.name, held.token)
    with pytest.raises(LockLost):
        held.extend()
    return response


@transaction.non_atomic_requests
@locked_view("sale")
def not_atomic_above(request: HttpRequest) -> HttpResponse:
    return write(request)


@locked_view("sale")
@transaction.non_atomic_requests
def not_atomic_below(request: HttpRequest) -> HttpResponse:
    return write(request)


def hides(view: Any) -> Any:
    def plain(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = view(request)
        return response

    return plain


@locked_view("sale", methods=["DELETE"])
def unlocked(request: HttpRequest) -> HttpResponse:
    return write(request)


class Mixed(LockedViewMixin, View):
    lock_name = "sale"

    def post(self, request: HttpRequest) -> HttpResponse:
        return write(request)


@method_decorator(locked_view("sale"), name="dispatch")
class Decorated(View):
    def post(self, request: HttpRequest) -> HttpResponse:
        return write(request)


@method_decorator([transaction.non_atomic_requests, locked_view("sale")], name="dispatch")
class NotAtomicAbove(View):
    def post(self, request: HttpRequest) -> HttpResponse:
        return write(request)


@method_decorator([locked_view("sale"), transaction.non_atomic_requests], name="dispatch")
class NotAtomicBelow(View):
    def post(self, request: HttpRequest) -> HttpResponse:
        return write(request)


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class MarkedChild(Decorated):
    pass


@method_decorator(locked_view("sale"), name="dispatch")
class Rest(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Any) -> Response:
        return Response(write(request).content.decode())

    def put(self, request: Any) -> Response:
        write(request)
        raise ZeroDivisionError


@method_decorator([locked_view("sale"), transaction.non_atomic_requests], name="dispatch")
class NotAtomicRest(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Any) -> Response:
        return Response(write(request).content.decode())


@locked_view("sale")
async def coroutine(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ran")


@method_decorator(locked_view("sale"), name="dispatch")
class CoroutineClass(View):
    async def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("ran")


urlpatterns = [
    path("sale/", sale),
    path("fails/", fails),
    path("loses/", loses),
    path("above/", not_atomic_above),
    path("below/", not_atomic_below),
    path("hidden/", hides(sale)),
    path("hidden-marked/", transaction.non_atomic_requests(using="other")(hides(sale))),
    path("unlocked/", unlocked),
    path("mixed/", Mixed.as_view()),
    path("decorated/", Decorated.as_view()),
    path("not-atomic-above/", NotAtomicAbove.as_view()),
    path("not-atomic-below/", NotAtomicBelow.as_view()),
    path("not-atomic-rest/", NotAtomicRest.as_view()),
    path("not-atomic-use/", transaction.non_atomic_requests(Decorated.as_view())),
    path("marked-child/", MarkedChild.as_view()),
    path("rest/", Rest.as_view()),
    path("coroutine/", coroutine),
    path("coroutine-class/", CoroutineClass.as_view()),
]


@pytest.fixture(autouse=True)
def _urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def _atomic_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)


@pytest.fixture
def at_release() -> Iterator[Any]:
    """Whether a transaction was open when the lock was released, for each release."""
    open_then: list[bool] = []

    def note(**kwargs: Any) -> None:
        open_then.append(connection.in_atomic_block)

    lock_released.connect(note)
    yield open_then
    lock_released.disconnect(note)


def count() -> int:
    return Group.objects.filter(name="written").count()


@pytest.mark.usefixtures("_atomic_requests")
@pytest.mark.parametrize(
    "url", ["sale", "unlocked", "mixed", "decorated", "rest", "hidden", "hidden-marked"]
)
def test_the_view_runs_in_one_transaction(url: str) -> None:
    response = Client().post(f"/{url}/")
    assert "in 1" in response.content.decode()
    assert count() == 1
    assert is_free("sale")


@pytest.mark.usefixtures("_atomic_requests")
@pytest.mark.parametrize("url", ["sale", "mixed", "decorated", "rest", "hidden"])
def test_the_lock_is_released_after_the_commit(url: str, at_release: Any) -> None:
    Client().post(f"/{url}/")
    assert at_release == [False]


@pytest.mark.usefixtures("_atomic_requests")
def test_the_lock_is_taken_before_the_transaction_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    begun_free: list[bool] = []
    enter = transaction.Atomic.__enter__

    def enter_and_ask(self: Any) -> None:
        begun_free.append(is_free("sale"))
        enter(self)

    monkeypatch.setattr(transaction.Atomic, "__enter__", enter_and_ask)
    Client().post("/sale/")
    assert begun_free[0] is False


@pytest.mark.usefixtures("_atomic_requests")
@pytest.mark.parametrize(("method", "url"), [("POST", "fails"), ("PUT", "rest")])
def test_an_error_rolls_back(method: Any, url: str, at_release: Any) -> None:
    Client(raise_request_exception=False).generic(method, f"/{url}/")
    assert count() == 0
    assert at_release == [False]


@pytest.mark.usefixtures("_atomic_requests")
def test_a_lock_that_was_lost_rolls_back() -> None:
    with pytest.raises(LockLost):
        Client().post("/loses/")
    assert count() == 0


@pytest.mark.usefixtures("_atomic_requests")
@pytest.mark.parametrize(
    "url",
    [
        *("above", "below"),
        *("not-atomic-above", "not-atomic-below", "not-atomic-rest", "not-atomic-use"),
    ],
)
def test_a_view_marked_non_atomic_stays_non_atomic(url: str) -> None:
    assert "in 0" in Client().post(f"/{url}/").content.decode()
    assert count() == 1


@pytest.mark.usefixtures("_atomic_requests")
@pytest.mark.parametrize("marked", ["not-atomic-use", "marked-child"])
def test_the_mark_of_one_view_is_not_that_of_another(marked: str) -> None:
    """The view of a parent class, or of another path, keeps its transaction."""
    Client().post(f"/{marked}/")
    Group.objects.all().delete()
    assert Client().post("/decorated/").content == b"in 1"


@pytest.mark.parametrize("url", ["sale", "mixed", "decorated"])
def test_without_the_setting_there_is_no_transaction(url: str) -> None:
    assert Client().post(f"/{url}/").content == b"in 0"


@pytest.mark.usefixtures("_atomic_requests")
@pytest.mark.parametrize("url", ["coroutine", "coroutine-class"])
async def test_coroutine_views_are_refused_as_in_django(url: str) -> None:
    with pytest.raises(RuntimeError, match="ATOMIC_REQUESTS with async views"):
        await AsyncClient().post(f"/{url}/")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True, databases=["default", "postgresql"])
@pytest.mark.parametrize("decorate", [locked_view("sale"), lambda view: view])
def test_transactions_of_several_databases_are_nested_as_in_django(
    decorate: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """If the first cannot be committed, the others are rolled back."""
    committed: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        for alias in ("default", "postgresql"):
            assert connections[alias].in_atomic_block
            transaction.on_commit(partial(committed.append, alias), using=alias)
        return HttpResponse()

    for alias in ("default", "postgresql"):
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)
    settings.ROOT_URLCONF = (path("x/", decorate(view)),)
    Client().post("/x/")
    assert committed == ["default", "postgresql"]
