"""Methods under ``method_decorator(locked_view(...))`` of the admin's and other classes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils.decorators import method_decorator

from django_redislock import lock, locked_view

from .requests import BROWSER, content, holds, request

MEMORY: dict[str, Any] = {"using": "memory"}


def says(request: Any, name: str) -> HttpResponse:
    held = request.lock
    return HttpResponse(f"{held.name} {holds(name, 'memory')} {held.holder.what}")


class Desk:
    @method_decorator(locked_view("desk:{number}", **MEMORY))
    def serve(self, request: HttpRequest, number: int = 4) -> HttpResponse:
        return says(request, f"desk:{number}")

    @method_decorator(locked_view("desk:{number}", **MEMORY))
    async def aserve(self, request: HttpRequest, number: int = 4) -> HttpResponse:
        return says(request, f"desk:{number}")

    @method_decorator(locked_view("desk:{number}", **MEMORY))
    def __call__(self, request: HttpRequest, number: int = 4) -> HttpResponse:
        return says(request, f"desk:{number}")

    @classmethod
    def close(cls, request: HttpRequest, number: int = 4) -> HttpResponse:
        return says(request, f"desk:{number}")


@method_decorator(locked_view("desk:{number}", **MEMORY), name="serve")
class Decorated:
    def serve(self, request: HttpRequest, number: int = 4) -> HttpResponse:
        return says(request, f"desk:{number}")


class FrontDesk(Desk):
    pass


VIEWS = {
    "Desk.serve": Desk().serve,
    "Desk.__call__": Desk(),
    "Desk.close": locked_view("desk:{number}", **MEMORY)(Desk.close),
    "Decorated.serve": Decorated().serve,
    "FrontDesk.serve": FrontDesk().serve,
}


@pytest.mark.parametrize("name", VIEWS)
def test_any_method_that_gets_a_request_runs_under_the_lock(name: str) -> None:
    view: Any = VIEWS[name]
    assert content(view(request(), number=5)) == f"desk:5 1 {__name__}.{name}"
    assert content(view(request())) == f"desk:4 1 {__name__}.{name}"
    with lock("desk:4", using="memory"):
        assert view(request(), 4).status_code == 423
    assert holds("desk:4", "memory") == 0


def test_a_coroutine_method_runs_under_the_lock_without_blocking() -> None:
    desk: Any = Desk()
    assert content(asyncio.run(desk.aserve(request()))) == f"desk:4 1 {__name__}.Desk.aserve"
    with lock("desk:4", using="memory"):
        assert asyncio.run(desk.aserve(request(), 4)).status_code == 423


class GroupAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    actions = ["close"]

    @method_decorator(locked_view("group:{object_id}", methods=["POST"], **MEMORY))
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        seen.append((getattr(request, "lock", None), connection.in_atomic_block))
        return super().change_view(request, object_id, form_url, extra_context)

    @admin.action(description="Close")
    @method_decorator(locked_view("close", **MEMORY))
    def close(self, request: HttpRequest, queryset: Any) -> None:
        seen.append((holds("close", "memory"), queryset.count()))


seen: list[Any] = []
site = admin.AdminSite(name="admin")
site.register(Group, GroupAdmin)
urlpatterns = [path("admin/", site.urls)]


@pytest.mark.urls(__name__)
@pytest.mark.django_db
def test_a_page_of_the_admin_runs_under_the_lock(client: Client) -> None:
    client.force_login(User.objects.create_superuser("admin"))
    group = Group.objects.create(name="a")
    url = f"/admin/auth/group/{group.pk}/change/"
    seen.clear()
    with lock(f"group:{group.pk}", using="memory"):
        assert client.get(url).status_code == 200
        busy = client.post(url, {"name": "b"}, headers={"accept": BROWSER})
        assert busy.status_code == 423
    assert seen.pop()[0] is None
    assert client.post(url, {"name": "b"}).status_code == 302
    assert seen.pop()[0].name == f"group:{group.pk}"
    group.refresh_from_db()
    assert group.name == "b"


@pytest.mark.urls(__name__)
@pytest.mark.django_db
def test_an_action_of_the_admin_runs_under_the_lock(client: Client) -> None:
    client.force_login(User.objects.create_superuser("admin"))
    group = Group.objects.create(name="a")
    data = {"action": "close", "_selected_action": [group.pk]}
    seen.clear()
    assert client.post("/admin/auth/group/", data).status_code == 302
    assert seen == [(1, 1)]
    with lock("close", using="memory"):
        assert client.post("/admin/auth/group/", data).status_code == 423


@locked_view("action", **MEMORY)
def action(modeladmin: Any, request: HttpRequest, queryset: Any) -> None:
    raise AssertionError("it ran, with the lock of nothing")


def test_a_method_whose_first_argument_is_no_request_is_refused() -> None:
    class Admin:
        pass

    modeladmin = Admin()
    with pytest.raises(TypeError, match=r"action got Admin first.*a request.*@locked"):
        action(modeladmin, request(), None)
    assert vars(modeladmin) == {}
