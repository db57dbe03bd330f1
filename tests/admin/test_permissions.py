from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client

from django_redislock.models import Lock
from tests.admin.pages import PAGE, client_of
from tests.management.holds import hold
from tests.support.commands import output_of

pytestmark = pytest.mark.django_db


def test_there_are_two_permissions_of_our_own() -> None:
    ours = Permission.objects.filter(content_type__app_label="django_redislock")
    assert set(ours.values_list("codename", flat=True)) == {"view_lock", "release_lock"}


def test_a_user_who_may_view_locks_sees_them() -> None:
    hold("order:42")
    response = client_of("view_lock").get(PAGE)
    assert response.status_code == 200
    assert "order:42" in response.content.decode()


@pytest.mark.parametrize("codenames", [(), ("release_lock",)])
def test_staff_without_the_permission_does_not_see_them(codenames: tuple[str, ...]) -> None:
    client = client_of(*codenames)
    assert client.get(PAGE).status_code == 403
    assert PAGE not in client.get("/admin/").content.decode()


def test_a_user_who_is_not_staff_does_not_see_them_even_with_the_permission() -> None:
    response = client_of("view_lock", is_staff=False).get(PAGE)
    assert response.status_code == 302
    assert "/login/" in response["Location"]


def test_a_user_who_is_not_logged_in_does_not_see_them(client: Client) -> None:
    assert client.get(PAGE).status_code == 302


def test_the_model_of_locks_is_empty_without_a_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert list(Lock.objects.all()) == []
        assert Lock.objects.count() == 0


@pytest.mark.parametrize("options", [{}, {"use_base_manager": True}])
def test_dumpdata_skips_the_model_without_a_table(options: dict[str, Any]) -> None:
    assert json.loads(output_of("dumpdata", "django_redislock", **options)) == []


def test_the_migrations_are_complete(settings: Any) -> None:
    settings.MIGRATION_MODULES = {}  # the suite has none
    call_command("makemigrations", "django_redislock", check=True, dry_run=True, verbosity=0)
