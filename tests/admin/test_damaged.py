"""Damaged holds in the admin."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from tests.admin.pages import PAGE, names, page, references, release, rows, text_of
from tests.management.holds import hold, is_held
from tests.management.test_damaged import spoil
from tests.support.places import Place

# Shown for unknown values.
NOTHING = "\N{EN DASH}"

pytestmark = pytest.mark.django_db


@pytest.fixture
def damaged(place: Place) -> str:
    hold("order", "default", what="shop.buy")
    spoil(place, "order")
    return "order"


def test_a_damaged_hold_is_listed_as_damaged(admin_client: Client, damaged: str) -> None:
    hold("another", "default")
    html = page(admin_client)
    assert sorted(names(html)) == ["another", damaged]
    (row,) = (row for row in rows(html) if row[0] == damaged)
    _name, left, holder, waiters, since, limit, fence = row
    assert left.endswith(" s damaged")
    assert (holder, waiters, since, limit, fence) == (
        "not readable",
        "0",
        NOTHING,
        NOTHING,
        NOTHING,
    )
    assert "1970" not in html
    assert 'max="0' not in html


def test_the_totals_count_a_damaged_hold_once(admin_client: Client, damaged: str) -> None:
    hold("another", "default")
    page(admin_client, f"{PAGE}default_3A{damaged}/change/")
    html = page(admin_client)
    assert 'data-total="2"' in html
    for text in (html, page(admin_client, f"{PAGE}summary/")):
        assert "2 locks held" in text


def test_a_damaged_hold_is_found_by_its_state(admin_client: Client, damaged: str) -> None:
    hold("another", "default")
    assert names(page(admin_client, state="damaged")) == [damaged]
    for query in ({"state": "held"}, {"state": "orphaned"}, {"kind": "mutex"}):
        assert names(page(admin_client, **query)).count(damaged) == 0
    assert damaged in names(page(admin_client, o="-age"))


def test_a_damaged_hold_has_a_page_and_can_be_released(admin_client: Client, damaged: str) -> None:
    other = hold("another", "default")
    html = page(admin_client, f"{PAGE}default_3A{damaged}/change/")
    shown = text_of(html)
    assert 'class="redislock-remark redislock-damaged"' in html
    for part in ("State damaged", f"Held since {NOTHING}", f"Kind {NOTHING}", "cannot be read"):
        assert part in shown
    assert "1970" not in shown
    asked = text_of(
        admin_client.post(f"{PAGE}release/", {"hold": references(html)}).content.decode()
    )
    assert "not readable" in asked
    assert "within" not in asked
    assert "1 lock was released by force." in release(admin_client, html)
    assert names(page(admin_client)) == ["another"]
    assert is_held("another", other, "default")


def test_a_damaged_hold_without_an_expiry_is_released_from_the_list(
    admin_client: Client, place: Place
) -> None:
    hold("order", "default")
    spoil(place, "order", expiry=None)
    html = page(admin_client)
    assert "1 lock was released by force." in release(admin_client, html)
    assert names(page(admin_client)) == []
    assert "Holder: unknown. Token: damaged-" in LogEntry.objects.get().change_message
