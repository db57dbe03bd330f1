"""Recipes of docs/recipes.md, executed unchanged."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from django_redislock import lock, lock_backends
from django_redislock.testing import assert_locked, lose
from tests.commands.command_line import CommandLine, ended, line_of
from tests.support.processes import wait_until
from tests.testing.projects import SETTINGS, Project

from .pages import BLOCKS, name_of

PAGE = [block for block in BLOCKS if name_of(block.page) == "docs/recipes.md"]


def code_of(text: str) -> str:
    (block,) = (one for one in PAGE if text in one.code)
    return block.padded


def load(text: str, **names: Any) -> SimpleNamespace:
    exec(compile(code_of(text), "docs/recipes.md", "exec"), names)  # noqa: S102 - our own page
    return SimpleNamespace(**names)


@pytest.fixture
def manage(key_prefix: str) -> CommandLine:
    return CommandLine(key_prefix)


def test_another_process_takes_over_when_the_leader_is_stopped(manage: CommandLine) -> None:
    line = code_of("$ python manage.py withlock beat").strip()
    command = shlex.split(line.removeprefix("$ python manage.py "))
    command[command.index("--") + 1 :] = ["sh", "-c", "echo leads; exec sleep 600"]
    with manage.started(*command) as leader:
        assert line_of(leader) == "leads"
        with manage.started(*command) as other:
            wait_until(lambda: lock_backends["default"].inspect("beat")[1], what="it stands by")
            leader.terminate()
            assert line_of(other) == "leads"
            assert ended(leader)[0] != 0
            other.terminate()
            ended(other)


def test_a_loop_ends_when_its_process_is_no_longer_the_leader() -> None:
    polled = []

    def poll_once() -> None:
        assert_locked("poller")
        polled.append(1)
        if len(polled) == 3:
            lose("poller")

    with pytest.raises(CommandError) as error:
        call_command(load("class Command", poll_once=poll_once).Command())
    assert error.value.returncode == 70
    assert len(polled) == 3


def test_the_recipe_for_once_in_a_period() -> None:
    names = load("def refresh_prices")
    assert names.refresh_prices(8) == "refreshed"
    assert names.refresh_prices(8) is None
    assert names.refresh_prices(9) == "refreshed"


def test_the_recipe_for_renaming_a_lock() -> None:
    names = load("def import_feed", locked=load("def refresh_prices").locked)
    for taken in ("feed:7", "import:7"):
        with lock(taken):
            assert names.import_feed(7) is None
    assert names.import_feed(7) == "imported"


FORMS = """
import pytest
from django.test import Client


@pytest.fixture
def customer(locks, db, django_user_model):
    client = Client()
    client.force_login(django_user_model.objects.create(username="ada"))
    return client


def test_the_second_request_leads_to_the_first_order(customer):
    from shop.models import Order
    from shop.payment import charged

    form = customer.get("/order/").context["form"]
    sent = {"form_id": form["form_id"].value(), "item": "Tea"}
    first, second = customer.post("/order/", sent), customer.post("/order/", sent)
    assert (first.status_code, first.url) == (second.status_code, second.url)
    assert first.url == f"/order/{Order.objects.get().pk}/"
    assert len(charged) == 1
    another = customer.get("/order/").context["form"]["form_id"].value()
    assert another != sent["form_id"]


def test_the_form_is_shown_meanwhile(customer, django_user_model, held_elsewhere):
    held_elsewhere(f"order:{django_user_model.objects.get().pk}")
    assert customer.get("/order/").status_code == 200
"""

FORM_SETTINGS = """
INSTALLED_APPS += ["django.contrib." + app for app in ("auth", "contenttypes", "sessions")]
INSTALLED_APPS += ["shop"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ROOT_URLCONF = "shop.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
"""

URLS = """
from django.http import HttpResponse
from django.urls import path
from shop.views import place_order

urlpatterns = [
    path("order/", place_order),
    path("order/<int:pk>/", lambda request, pk: HttpResponse("Thank you"), name="order"),
]
"""


def test_the_recipe_for_a_form_that_is_sent_twice(tmp_path: Path) -> None:
    project = Project(tmp_path, SETTINGS + FORM_SETTINGS)
    (tmp_path / "shop" / "templates").mkdir(parents=True)
    project.write("shop/__init__.py", "")
    project.write("shop/models.py", code_of("class Order(models.Model)"))
    project.write("shop/views.py", code_of("class OrderForm"))
    project.write("shop/payment.py", "charged = []\ncharge = charged.append\n")
    project.write("shop/urls.py", URLS)
    project.write("shop/templates/order.html", "{{ form }}")
    project.write("test_forms.py", FORMS)
    outcome = project.pytest()
    assert (outcome.code, len(outcome.names("PASSED"))) == (0, 2), outcome.text


TWO_SERVERS = """
import json
from pathlib import Path


def test_old_and_new(locks, held_elsewhere):
    from django_redislock.testing import assert_locked

    names = {}
    exec(json.loads(Path(__file__).with_name("code.json").read_text()), names)

    def build():
        for alias in ("old", "default"):
            assert_locked("index", using=alias)
        return "built"

    assert names["rebuild_index"](build) == "built"
"""


def test_the_recipe_for_moving_to_another_server(tmp_path: Path) -> None:
    project = Project(tmp_path, SETTINGS + code_of('"old": {"LOCATION"'))
    project.write("code.json", json.dumps(code_of("def rebuild_index")))
    project.write("test_servers.py", TWO_SERVERS)
    outcome = project.pytest()
    assert (outcome.code, outcome.names("PASSED")) == (0, ["test_old_and_new"]), outcome.text
