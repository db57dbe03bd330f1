"""Exports of the list, and the list of all releases by force."""

from __future__ import annotations

import csv
import json
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from django_redislock.admin import LockAdmin, releases
from django_redislock.models import Lock
from tests.admin.pages import PAGE, client_of, names, page, release, rows
from tests.management.holds import hold, without_redis

pytestmark = pytest.mark.django_db

EXPORT, RELEASED = f"{PAGE}export/", f"{PAGE}released/"


def links(html: str) -> list[str]:
    return [unescape(one) for one in re.findall(r'href="([^"]*/export/[^"]*)"', html)]


def test_an_export_has_the_rows_that_are_shown(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LockAdmin, "list_per_page", 2)
    for number in range(5):
        hold(f"order:{number}", lease=100 + number, label="=1+1")
    hold("feed")
    html = page(admin_client, q="order", p=2, o="-ttl")
    as_csv, as_json = links(html)
    response = admin_client.get(as_csv)
    assert response.headers["Content-Disposition"] == 'attachment; filename="locks.csv"'
    found = list(csv.DictReader(response.content.decode().splitlines()))
    assert [one["name"] for one in found] == names(html) == ["order:2", "order:1"]
    assert found[0]["label"] == "'=1+1", "no spreadsheet takes it for a formula"
    response = admin_client.get(as_json)
    assert response.headers["Content-Type"].startswith("application/json")
    assert [one["name"] for one in json.loads(response.content)] == names(html)


def test_no_token_is_exported(admin_client: Client) -> None:
    token = hold("a")
    for format_ in ("csv", "json", "nonsense"):
        text = admin_client.get(EXPORT, {"format": format_}).content.decode()
        assert "a" in text
        assert token not in text


def test_an_export_fails_if_a_backend_does_not_answer(admin_client: Client, settings: Any) -> None:
    without_redis(settings, "default")
    hold("a")
    response = admin_client.get(EXPORT)
    assert response.status_code == 503
    assert b"refused" in response.content


def test_all_releases_by_force_are_listed_newest_first(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No lock has been released by force" in page(admin_client, RELEASED)
    for name in ("first", "<second>", "third"):
        hold(name)
        release(admin_client, page(admin_client, q=name), reason=f"because of {name}")
    html = page(admin_client, RELEASED)
    assert [row[0] for row in rows(html)] == ["third", "&lt;second&gt;", "first"]
    assert "because of third" in rows(html)[0][3]
    assert rows(html)[0][2] == "admin"
    assert f'href="{PAGE}memory_3Afirst/change/"' in html
    monkeypatch.setattr(releases, "PER_PAGE", 2)
    assert 'href="?p=2"' in page(admin_client, RELEASED)
    second = page(admin_client, RELEASED, p=2)
    assert [row[0] for row in rows(second)] == ["first"]
    assert 'href="?p=1"' in second


def test_an_entry_without_a_name_is_listed(admin_client: Client) -> None:
    hold("a")
    release(admin_client, page(admin_client))
    LogEntry.objects.update(object_id=None)
    assert [row[0] for row in rows(page(admin_client, RELEASED))] == ["a"]


def test_the_thousandth_page_of_releases_is_reached_in_all_languages(
    admin_client: Client, admin_user: User, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    monkeypatch.setattr(releases, "PER_PAGE", 1)
    about = ContentType.objects.get_for_model(Lock)
    LogEntry.objects.bulk_create(
        LogEntry(user=admin_user, content_type=about, object_id="memory:a", action_flag=CHANGE)
        for _ in range(1002)
    )
    html = page(admin_client, RELEASED, p=1001)
    assert re.findall(r'href="\?p=([^"]*)"', html) == ["1000", "1002"]


@pytest.mark.parametrize("path", [EXPORT, RELEASED])
def test_exports_and_releases_require_the_permission_to_view(client: Client, path: str) -> None:
    assert client_of().get(path).status_code == 403
    assert client_of("view_lock", username="viewer").get(path).status_code == 200
    assert client_of("view_lock", username="other").post(path).status_code == 405
