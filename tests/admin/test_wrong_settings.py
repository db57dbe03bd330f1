"""Pages of the admin with a wrong LOCKS setting, which show the error instead of locks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from tests.admin.pages import PAGE, RELEASE, client_of, page, references, text_of
from tests.management.holds import hold

pytestmark = pytest.mark.django_db

SAID = "The locks cannot be shown."
WRONG = {"default": {"LEESE": 3}}


@pytest.mark.parametrize(
    "path", ["", "?q=order", "hot/", "waits/", "summary/", "default_3Aorder/change/"]
)
def test_every_page_shows_the_error(admin_client: Client, settings: Any, path: str) -> None:
    settings.LOCKS = WRONG
    html = page(admin_client, f"{PAGE}{path}")
    assert '<div class="redislock-error" role="alert">' in html
    assert SAID in text_of(html)
    assert "LEESE" in html


def test_the_error_is_in_the_language_of_the_reader(admin_client: Client, settings: Any) -> None:
    settings.LOCKS, settings.LANGUAGE_CODE = WRONG, "de"
    html = page(admin_client)
    assert "Die Sperren können nicht gezeigt werden." in html
    assert "LEESE" in html


def test_an_open_page_gets_the_error_with_its_next_refresh(
    admin_client: Client, settings: Any
) -> None:
    hold("order:1")
    data = {"shown": json.dumps(references(page(admin_client))), "total": 1, "query": "?"}
    settings.LOCKS = WRONG
    response = admin_client.post(f"{PAGE}refresh/", data)
    assert response.status_code == 200
    _before, found, live = response.content.decode().partition('<div id="redislock-live"')
    assert found
    assert SAID in text_of(live)


def test_an_export_is_the_error(admin_client: Client, settings: Any) -> None:
    settings.LOCKS = WRONG
    response = admin_client.get(f"{PAGE}export/")
    assert response.status_code == 503
    assert response["Content-Type"].startswith("text/plain")
    assert b"LEESE" in response.content


def test_no_lock_can_be_released(admin_client: Client, settings: Any) -> None:
    hold("order:1")
    data = {"hold": references(page(admin_client)), "confirmed": "yes", "reason": ""}
    settings.LOCKS = WRONG
    for one in (data, {"all_found": "yes", "back": "?q=order"}):
        response = admin_client.post(RELEASE, one)
        assert response.status_code == 200
        assert SAID in text_of(response.content.decode())


def test_earlier_releases_are_still_listed(admin_client: Client, settings: Any) -> None:
    settings.LOCKS = WRONG
    assert SAID not in text_of(page(admin_client, f"{PAGE}released/"))


def test_only_users_who_may_view_see_the_error(settings: Any) -> None:
    settings.LOCKS = WRONG
    client = client_of()
    for path in (PAGE, f"{PAGE}hot/", RELEASE):
        response = client.get(path)
        assert response.status_code == 403
        assert b"LEESE" not in response.content
