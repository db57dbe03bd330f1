"""Page of the waits, and other holds and waits on the page of a name."""

from __future__ import annotations

import re
import secrets
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client

from django_redislock.admin import waits as page_of_waits
from tests.admin.pages import PAGE, client_of, page, text_of
from tests.management.holds import claim, hold, without_redis

pytestmark = pytest.mark.django_db

WAITS = f"{PAGE}waits/"


def take(who: str, name: str, using: str = "default", *, stay: float = 0, **more: Any) -> None:
    fields = {"what": f"task.{who}", "host": f"web-{who}", "owner": f"1-{who}", **more}
    claim(name, secrets.token_hex(16), using, stay=stay, **fields)


def deadlock() -> None:
    take("a", "x")
    take("b", "y", "memory")
    take("a", "y", "memory", stay=60)
    take("b", "x", stay=60)


class Lists(HTMLParser):
    """Reads the depth of each item, and checks that every list is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.depths: list[int] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag in ("ul", "li"):
            assert self.open[-1:] == (["ul"] if tag == "li" else ["li"] * bool(self.open))
            self.open.append(tag)
            if tag == "li":
                self.depths.append(self.open.count("li") - 1)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("ul", "li"):
            assert self.open.pop() == tag


def tree(html: str) -> str:
    begin = '<ul class="redislock-waits" id="redislock-waits">'
    _, found, rest = html.partition(begin)
    return found and found + rest.partition("</div>")[0]


def test_a_deadlock_across_processes_and_backends_is_shown(admin_client: Client) -> None:
    deadlock()
    said = text_of(page(admin_client, WAITS))
    assert "Deadlock task.a, web-a, pid 77, main waits for “y” task.b, web-b" in said
    assert said.count("in a deadlock, or behind one") == 2


def test_the_tree_is_nested_lists_with_links_to_the_names(admin_client: Client) -> None:
    take("a", "x")
    for who, wanted, held in (("b", "x", "y"), ("c", "y", "z")):
        take(who, held)
        take(who, wanted, stay=60)
    take("d", "z", stay=60)
    take("e", "x", stay=60)
    take("f", "other")
    take("g", "other", stay=60)
    html = page(admin_client, WAITS)
    assert sorted(Lists(tree(html)).depths) == sorted([0, 1, 2, 3, 4, 5, 1, 0, 1])
    for name in "xyz":
        assert f'href="{PAGE}default_3A{name}/change/"' in html
    assert "Deadlock" not in html


def test_the_page_says_that_there_are_no_waiters(admin_client: Client) -> None:
    hold("a")
    assert "There are no waiters at the moment." in page(admin_client, WAITS)


def test_the_page_says_that_it_is_incomplete(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        take("a", name)
        take("b", name, stay=60)
    original = page_of_waits.waits_of
    monkeypatch.setattr(page_of_waits, "waits_of", lambda aliases: original(aliases, 2))
    assert "Only 2 of the 3 names with waiters were examined." in page(admin_client, WAITS)
    monkeypatch.setattr(page_of_waits, "MOST_LINES", 2)
    html = page(admin_client, WAITS)
    assert Lists(tree(html)).depths == [0, 1]
    assert "These are the first 2 lines; “listlocks --waits” prints them all." in html


def test_a_silent_backend_is_reported_and_the_others_are_shown(
    admin_client: Client, settings: Any
) -> None:
    without_redis(settings, "default")
    take("a", "x", "memory")
    take("b", "x", "memory", stay=60)
    html = page(admin_client, WAITS)
    assert "The locks of the backend “default” cannot be shown." in html
    assert "task.b" in html


def test_names_and_holders_are_escaped(admin_client: Client) -> None:
    take("<a>", "<x>")
    take("<b>", "<x>", stay=60)
    html = page(admin_client, WAITS)
    assert "&lt;x&gt;" in html
    assert "<b>" not in tree(html)


def test_the_page_requires_the_permission_to_view(client: Client) -> None:
    assert client_of().get(WAITS).status_code == 403
    assert client_of("view_lock", username="viewer").get(WAITS).status_code == 200
    assert WAITS in page(client_of("view_lock", username="other"))


def test_the_page_of_a_name_shows_other_holds_and_waits_of_its_holder(admin_client: Client) -> None:
    deadlock()
    take("a", "more")
    take("c", "more", stay=60)
    take("b", "more", stay=60)
    said = text_of(page(admin_client, f"{PAGE}default_3Ax/change/"))
    assert re.search("Waits for y . Who waits for whom", said)
    assert "Also holds more" in said
    assert "also holds “y”" in said
    other = text_of(page(admin_client, f"{PAGE}default_3Amore/change/"))
    assert "Also holds x" in other


def test_names_that_were_taken_together_are_shown_together(admin_client: Client) -> None:
    for name in ("first", "second"):
        take("a", name, group="g1")
        take("b", name, stay=60)
    take("a", "third", group="g2")
    take("b", "third", stay=60)
    said = text_of(page(admin_client, f"{PAGE}default_3Afirst/change/"))
    assert "Taken together with second" in said
    assert "Also holds third" in said


def test_the_page_of_a_name_shows_nothing_more_of_a_holder_without_other_holds(
    admin_client: Client,
) -> None:
    hold("a", "default")
    said = text_of(page(admin_client, f"{PAGE}default_3Aa/change/"))
    for text in ("Also holds", "Waits for ", "Taken together with"):
        assert text not in said
