"""Refresh of a list, which keeps its rows and their order."""

from __future__ import annotations

import json
import re
import threading
from html import unescape
from typing import Any

import pytest
from django.test import Client

from django_redislock import lock_backends
from django_redislock.admin import LockAdmin
from django_redislock.backends.base import Extension
from tests.admin.pages import PAGE, client_of, names, page, text_of
from tests.management.holds import hold, queue, without_redis

pytestmark = pytest.mark.django_db

BOTH = pytest.mark.parametrize("using", ["default", "memory"])


def shown(html: str) -> list[str]:
    return [unescape(one) for one in re.findall(r'data-hold="([^"]*)"', html)]


def total(html: str) -> str:
    return re.findall(r'data-total="([^"]*)"', html)[0]


def refresh(client: Client, before: str, query: str = "", **data: Any) -> str:
    """The response to the request of the page's script."""
    data = {"shown": json.dumps(shown(before)), "total": total(before), "query": query, **data}
    response = client.post(f"{PAGE}refresh/", data)
    assert response.status_code == 200
    return response.content.decode()


def news(html: str) -> str:
    return re.findall(r'data-news="([^"]*)"', html)[0]


def missing(html: str) -> list[str]:
    return re.findall(r'data-missing="([^"]*)"', html)


@BOTH
def test_rows_keep_their_order_with_current_figures(admin_client: Client, using: str) -> None:
    tokens = {
        name: hold(name, using, lease=25 + place, limit=3) for place, name in enumerate("abc")
    }
    before = page(admin_client)
    lock_backends[using].extend(Extension("a", tokens["a"], 90))
    hold("b", using, lease=10, limit=3)
    hold("new", using, lease=5)
    assert names(page(admin_client)) == ["new", "b", "b", "c", "a"]
    after = refresh(admin_client, before)
    assert names(after) == ["a", "b", "c"]
    assert re.findall(r'data-remaining="(\d)\d\.', after) == ["8", "2", "2"]
    assert news(after) == "2 more since"
    assert shown(after) == shown(before)


@BOTH
def test_an_ended_hold_keeps_its_row_beside_its_successor(admin_client: Client, using: str) -> None:
    tokens = {name: hold(name, using, lease=20 + place) for place, name in enumerate("abc")}
    before = page(admin_client)
    lock_backends[using].release("b", tokens["b"])
    after = refresh(admin_client, before)
    assert names(after) == ["a", "c"]
    assert missing(after) == ["ended"]
    assert re.findall(r"<tr id=\"hold-\w+\" data-(\w+)", after) == ["hold", "missing", "hold"]
    assert news(after) == ""
    hold("b", using)
    after = refresh(admin_client, before)
    assert missing(after) == ["ended"]
    assert news(after) == "1 more since"


def test_holds_of_a_silent_backend_are_shown_as_unknown(
    admin_client: Client, settings: Any
) -> None:
    hold("a", "default")
    before = page(admin_client)
    without_redis(settings, "default")
    after = refresh(admin_client, before)
    assert missing(after) == ["not known"]
    assert "The locks of the backend “default” cannot be shown." in text_of(after)
    assert news(after) == ""


def test_a_filtered_list_counts_new_matching_locks(admin_client: Client) -> None:
    hold("order:1")
    hold("feed")
    for place, query in enumerate(("?q=order", "?q=order&o=-age")):
        before = page(admin_client, f"{PAGE}{query}")
        assert news(refresh(admin_client, before, query)) == ""
        hold(f"order:new {place}")
        hold(f"feed:new {place}")
        after = refresh(admin_client, before, query)
        assert names(after) == names(before)
        assert news(after) == "1 more since"


def test_a_total_is_a_number_in_all_languages(admin_client: Client, settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    for number in range(1000):
        hold(f"a{number}")
    before = page(admin_client)
    assert news(refresh(admin_client, before)) == ""
    hold("new")
    assert news(refresh(admin_client, before)) == "1 more since"


def test_a_refresh_takes_no_more_round_trips_with_more_rows(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_redislock.backends.redis.wire.node import Node

    exchanges: list[int] = []
    original = Node.exchange

    def counted(node: Node, commands: Any, within: float | None = None) -> Any:
        # Another thread may send the figures of earlier tests at any time.
        if threading.current_thread() is threading.main_thread():
            exchanges.append(len(commands))
        return original(node, commands, within)

    counts = []
    for number in range(40):
        hold(f"a{number}", "default")
        if number in (1, 39):
            before = page(admin_client, backend="default")
            with monkeypatch.context() as patch:
                patch.setattr(Node, "exchange", counted)
                exchanges.clear()
                assert len(names(refresh(admin_client, before, "?backend=default"))) == number + 1
            counts.append(len(exchanges))
    assert 0 < counts[0] == counts[1] <= 8


def test_invalid_data_is_ignored(admin_client: Client) -> None:
    hold("a")
    before = page(admin_client)
    surrogate = json.dumps([r'["default", "\ud800", "x"]'])
    for text in ("", "{", "3", "[1, null, []]", '["x", "[1]"]', "[" * 100_000, surrogate):
        after = refresh(admin_client, before, shown=text, total="-1")
        assert names(after) == []
    assert names(refresh(admin_client, before, "nonsense", total="nan")) == ["a"]


def test_a_refresh_reads_no_more_than_a_page(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        hold(name)
    before = page(admin_client)
    monkeypatch.setattr(LockAdmin, "list_per_page", 2)
    assert len(names(refresh(admin_client, before))) == 2


def test_a_refresh_requires_the_permission_to_view_and_changes_nothing(client: Client) -> None:
    assert client_of().post(f"{PAGE}refresh/").status_code == 403
    viewer = client_of("view_lock", username="viewer")
    assert viewer.get(f"{PAGE}refresh/").status_code == 405
    hold("a")
    queue("a")
    after = refresh(viewer, page(viewer))
    assert names(after) == ["a"]
    assert "checkbox" not in after
    assert client.post(f"{PAGE}refresh/").status_code == 302
