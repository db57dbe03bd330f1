"""Access to every page of the admin, with each permission and without a CSRF token."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.admin.pages import client_of
from tests.management.holds import hold, is_held
from tests.security.pages import POSTED, RELEASE, address, ask, held, views

pytestmark = pytest.mark.django_db

LOOKING = [view for view in views() if view != RELEASE]


def test_every_page_is_known() -> None:
    assert set(views()) == {
        *("changelist", "change", "hot", "waits", "refresh", "export", "released", "summary"),
        "release",
    }


@pytest.mark.parametrize("view", views())
def test_a_user_who_is_not_logged_in_sees_and_does_nothing(admin_client: Client, view: str) -> None:
    token = hold("a")
    response = ask(Client(), view, "a", held(admin_client))
    assert response.status_code == 302
    assert "/login/" in response["Location"]
    assert is_held("a", token)


@pytest.mark.parametrize("view", views())
def test_a_user_who_is_not_staff_does_nothing_even_with_all_rights(
    admin_client: Client, view: str
) -> None:
    token = hold("a")
    client = client_of("view_lock", "release_lock", is_staff=False)
    assert ask(client, view, "a", held(admin_client)).status_code == 302
    assert is_held("a", token)


@pytest.mark.parametrize("rights", [(), ("release_lock",)])
@pytest.mark.parametrize("view", views())
def test_staff_without_the_permission_to_view_sees_and_does_nothing(
    admin_client: Client, view: str, rights: tuple[str, ...]
) -> None:
    token = hold("a")
    response = ask(client_of(*rights), view, "a", held(admin_client))
    assert response.status_code == 403
    assert is_held("a", token)


@pytest.mark.parametrize("view", LOOKING)
def test_a_user_who_may_view_sees_every_page_without_a_release(
    admin_client: Client, view: str
) -> None:
    hold("a")
    references = held(admin_client)
    response = ask(client_of("view_lock"), view, "a", references)
    assert response.status_code == 200
    html = response.content.decode()
    assert address(RELEASE, "a") not in html
    assert 'name="hold"' not in html


@pytest.mark.parametrize("confirmed", ["", "yes"])
def test_a_user_who_may_only_view_releases_nothing(admin_client: Client, confirmed: str) -> None:
    token = hold("a")
    data = {"hold": held(admin_client), "confirmed": confirmed}
    response = client_of("view_lock").post(address(RELEASE, "a"), data)
    assert response.status_code == 403
    assert is_held("a", token)


@pytest.mark.parametrize("view", views())
def test_a_post_without_a_csrf_token_is_refused(admin_user: User, view: str) -> None:
    token = hold("a")
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    data = {"hold": held(client), "confirmed": "yes"}
    assert client.post(address(view, "a"), data).status_code == 403
    assert is_held("a", token)


@pytest.mark.parametrize("view", views())
@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_only_a_post_releases_a_lock(admin_client: Client, view: str, method: str) -> None:
    token = hold("a")
    data = {"hold": held(admin_client), "confirmed": "yes"}
    ask_by = getattr(admin_client, method)
    response = ask_by(address(view, "a"), data if method in ("get", "head") else "")
    reads = method in ("get", "head") and view not in POSTED
    assert (response.status_code == 200) == reads
    assert is_held("a", token)
