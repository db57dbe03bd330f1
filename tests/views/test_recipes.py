"""The recipes of docs/views.md for the admin and REST framework, as they stand there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path
from rest_framework.routers import SimpleRouter

from django_redislock import lock
from tests.docs.pages import BLOCKS, name_of


def load(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": __name__}
    (block,) = (one for one in BLOCKS if name_of(one.page) == "docs/views.md" and text in one.code)
    exec(compile(block.padded, str(block.page), "exec"), names)  # noqa: S102 - our own page
    return names


site = admin.AdminSite(name="admin")
site.register(Group, load("class InvoiceAdmin")["InvoiceAdmin"])
router = SimpleRouter()
router.register("orders", load("class OrderViewSet")["OrderViewSet"], basename="order")
urlpatterns = [path("admin/", site.urls), path("", include(router.urls))]

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@pytest.fixture
def visitor(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def test_the_recipe_for_an_action_of_the_admin(visitor: Client) -> None:
    data = {"action": "send_invoices", "_selected_action": [Group.objects.create(name="a").pk]}
    assert "1 sent." in text(visitor.post("/admin/auth/group/", data, follow=True))
    with lock("invoices", label="Grace"):
        page = text(visitor.post("/admin/auth/group/", data, follow=True))
    assert "The invoices are being sent by Grace." in page
    assert "1 sent." not in page


def test_the_recipe_for_a_page_of_the_admin(visitor: Client) -> None:
    group = Group.objects.create(name="a")
    url = f"/admin/auth/group/{group.pk}/change/"
    with lock(f"invoice:{group.pk}"):
        assert visitor.get(url).status_code == 200
        assert visitor.post(url, {"name": "b"}).status_code == 423
    assert visitor.post(url, {"name": "b"}).status_code == 302


def test_the_recipe_for_an_action_of_rest_framework(visitor: Client) -> None:
    user = User.objects.get()
    visitor.force_login(user)
    with lock("order:7", lease=600):
        # The recipe waits for two seconds.
        busy = visitor.post("/orders/7/charge/")
        assert busy.status_code == 423
        assert 60 <= int(busy["Retry-After"]) <= 72
    done: Any = visitor.post("/orders/7/charge/")
    assert done.json()["order"] == "7"
    assert done.json()["fence"] > 0
    assert Client().post("/orders/7/charge/").status_code in (401, 403)


def text(response: Any) -> str:
    assert isinstance(response, HttpResponse)
    return response.content.decode()
