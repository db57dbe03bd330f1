from __future__ import annotations

import os
import re
import socket
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from django_redislock import lock
from django_redislock.backends.base import SHARED, Holder
from django_redislock.holder import packed_holder
from tests.admin.pages import (
    PAGE,
    RELEASE,
    client_of,
    names,
    page,
    references,
    release,
    rows,
    text_of,
)
from tests.management.holds import claim, hold, is_held, queue, without_redis

pytestmark = pytest.mark.django_db


def detail(client: Client, name: str = "a", using: str = "memory") -> str:
    return text_of(page(client, f"{PAGE}{using}_3A{name}/change/"))


@pytest.mark.parametrize("using", ["default", "memory"])
def test_all_fields_are_shown(admin_client: Client, using: str) -> None:
    token = hold(
        "a", using, lease=90, limit=3,
        what="shop.checkout", label="alice", host="web-9", pid=4242, thread="worker-2",
    )  # fmt: skip
    shown = detail(admin_client, using=using)
    for part in (
        f"Backend “{using}”", "What shop.checkout", "Label alice", "Kind semaphore",
            "Limit 1 of 3 held", "State held",
        "Where web-9, pid 4242, worker-2", f"Token {token[:8]}…", "of 1 min 30 s",
    ):  # fmt: skip
        assert part in shown
    assert re.search(r"Fence \d{10,}", shown)
    assert re.search(r"Remaining lease 1 min \d+ s", shown)


@pytest.mark.parametrize("using", ["default", "memory"])
def test_the_queue_is_shown_in_its_order(admin_client: Client, using: str) -> None:
    hold("a", using)
    for number in range(3):
        claim("a", f"token{number}", using, stay=60, what=f"job.{number}", label=f"user{number}")
    shown = detail(admin_client, using=using)
    assert "Queue (3)" in shown
    places = [shown.index(f"{place} job.{place - 1} for user{place - 1}") for place in (1, 2, 3)]
    assert places == sorted(places)


def test_a_long_queue_is_cut_and_counted(admin_client: Client) -> None:
    hold("a")
    for _number in range(103):
        queue("a")
    shown = detail(admin_client)
    assert "Queue (103)" in shown
    assert "and 3 more" in shown


def test_all_holders_of_a_semaphore_are_in_one_table(admin_client: Client) -> None:
    tokens = [hold("a", limit=SHARED, label=label) for label in ("alice", "bob")]
    html = page(admin_client, f"{PAGE}memory_3Aa/change/")
    shown = text_of(html)
    assert "Holders (2)" in shown
    for label, token in zip(("alice", "bob"), tokens, strict=True):
        (row,) = [row for row in rows(html) if f"for {label}" in row[0]]
        assert row[1] == "held"
        assert row[4:6] == ["read lock", "shared, 2 held"]
        assert row[7] == f"{token[:8]}…"
    assert len(references(html)) == 2


def test_only_the_selected_holds_of_a_semaphore_are_released(admin_client: Client) -> None:
    tokens = [hold("a", limit=3) for _ in range(3)]
    html = page(admin_client, f"{PAGE}memory_3Aa/change/")
    chosen = references(html)[:2]
    said = release(admin_client, html, hold=chosen, back="detail")
    assert "2 locks were released by force." in said
    assert "Holder State held" in said, "one is left, on the page of the name"
    assert sum(is_held("a", token) for token in tokens) == 1


def test_the_page_shows_what_this_process_holds(admin_client: Client) -> None:
    with lock("a", using="memory", lease=30):
        shown = detail(admin_client)
        assert re.search(r"It holds the name itself \(token \w{8}…\), .* Handles: 1,", shown)
        assert re.search(r"The next renewal is due in \d", shown)
        assert "runs on this host" in shown
    with lock("a", using="memory", lease=30, renew=False):
        assert "It does not renew the lease." in detail(admin_client)


def test_the_page_of_a_name_that_this_process_does_not_hold_is_shorter(
    admin_client: Client,
) -> None:
    hold("a")
    assert "What this server process knows" not in detail(admin_client)


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_keeps_a_lock_is_reported(admin_client: Client) -> None:
    with transaction.atomic():
        with lock("a", using="memory"):
            assert "Handles: 1, open transactions: 1." in detail(admin_client)
        assert "Handles: 0, open transactions: 1." in detail(admin_client)


@pytest.mark.parametrize(
    ("holder", "said"),
    [
        ({"host": socket.gethostname(), "pid": os.getpid(), "started": 1}, "Process has ended"),
        ({"host": socket.gethostname(), "pid": 2**22 + 1}, "Process has ended"),
        ({"host": "elsewhere", "pid": os.getpid()}, "Process not visible from here"),
        ({"host": socket.gethostname(), "pid": "x"}, "Process not visible from here"),
    ],
)
def test_the_page_says_whether_the_process_has_ended(
    admin_client: Client, holder: dict[str, Any], said: str
) -> None:
    hold("a", **holder)
    assert said in detail(admin_client)


def test_the_confirmation_of_a_release_says_that_the_process_has_ended(
    admin_client: Client,
) -> None:
    """Then nobody notices the release."""
    hold("a", host=socket.gethostname(), pid=2**22 + 1)
    chosen = references(page(admin_client))[0]
    asked = text_of(admin_client.post(RELEASE, {"hold": chosen}).content.decode())
    assert "process has ended" in asked
    assert "within" not in asked


def test_the_page_says_that_a_process_of_this_host_runs(admin_client: Client) -> None:
    mine = Holder.unpack(packed_holder("", "", None, "MainThread", "thread-1"))
    hold("a", host=mine.host, pid=mine.pid, started=mine.started)
    assert "runs on this host" in detail(admin_client)


def test_a_free_name_has_a_page(admin_client: Client) -> None:
    shown = detail(admin_client)
    assert "This name is not held at the moment." in shown
    assert "No waiters." in shown
    assert "None on these pages. What clearlocks releases is in the log only." in shown


@pytest.mark.parametrize("path", ["absent_3Aa", "memory", "memory_3A", "memoryXa"])
def test_a_path_without_a_name_of_a_backend_is_not_found(admin_client: Client, path: str) -> None:
    assert admin_client.get(f"{PAGE}{path}/change/").status_code == 404


def test_the_page_requires_the_permission_to_view(admin_client: Client) -> None:
    path = f"{PAGE}memory_3Aa/change/"
    assert client_of("view_lock").get(path).status_code == 200
    assert client_of("release_lock", username="eve").get(path).status_code == 403


def test_redis_that_is_down_is_reported(admin_client: Client, settings: Any) -> None:
    without_redis(settings, "down")
    shown = detail(admin_client, using="down")
    assert "The locks of the backend “down” cannot be shown." in shown
    assert "is not held" not in shown


def test_a_backend_whose_waits_are_missing_is_reported(admin_client: Client, settings: Any) -> None:
    without_redis(settings, "down")
    hold("a")
    shown = detail(admin_client)
    assert "The locks of the backend “down” cannot be shown." in shown
    assert "State held" in shown


@pytest.mark.parametrize("name", ["a/b/../c", "?x=1&y#z", "a b_3A", "ü:注文", "a\nb", '"<b>'])
def test_the_list_leads_to_the_page_of_any_name(admin_client: Client, name: str) -> None:
    hold(name, what="the.one")
    html = page(admin_client)
    assert len(names(html)) == 1
    (path,) = re.findall(r'class="redislock-name"><a href="([^"]*)"', html)
    assert "What the.one" in text_of(page(admin_client, path))
