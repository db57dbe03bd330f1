"""Admin, commands and checks for locks on a Cluster, and processes that fork."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from itertools import chain, repeat
from typing import Any

import pytest
from django.core.management import call_command
from redis.exceptions import ConnectionError as RedisConnectionError

from django_redislock import LockLost, lock, lock_backends
from django_redislock.checks import check_backends
from django_redislock.events import _send_counts
from django_redislock.local.background import background
from tests.admin.pages import names, page
from tests.concurrency import forking
from tests.support.places import Place
from tests.support.processes import Workers
from tests.topologies.places import NAMES, backend, nodes

pytestmark = [pytest.mark.timeout(180), pytest.mark.redis_server("7.0")]


@pytest.fixture
def held(servers: Any) -> Iterator[Any]:
    """A lock in each bucket, soonest end first."""
    handles = [lock(name, lease=200 + 9 * end, renew=False) for end, name in enumerate(NAMES)]
    for handle in handles:
        assert handle.acquire()
    yield handles
    for handle in handles:
        if handle.held:
            handle.release()


@pytest.mark.django_db
def test_the_page_of_the_admin_lists_all_nodes_in_order(held: Any, admin_client: Any) -> None:
    assert names(page(admin_client)) == NAMES


@pytest.mark.django_db
def test_the_page_of_the_admin_reports_a_node_that_is_away(
    held: Any, admin_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise RedisConnectionError("Error 111 connecting to h:1. Connection refused.")

    # A listing asks another node first.
    with monkeypatch.context() as patched:
        patched.setattr(nodes().topology.owners[-1], "exchange", away)
        html = page(admin_client)
    assert "does not answer at 127.0.0.1:" in html


def test_the_commands_list_and_clear_the_locks_of_all_nodes(held: Any) -> None:
    out = StringIO()
    call_command("listlocks", stdout=out)
    found = [line.split()[0] for line in out.getvalue().splitlines()]
    assert [name for name in found if name in NAMES] == NAMES
    call_command("clearlocks", all=True, interactive=False, stdout=StringIO())
    assert backend().list().total == 0
    for handle in held:
        with pytest.raises(LockLost):
            handle.release()


def test_figures_are_kept_once_for_all_nodes(held: Any) -> None:
    _send_counts(backend())
    assert background.flush(30)
    slots = [slot.tallies for slot in backend().tallies() if slot.tallies]
    assert sum(tally.acquired for tallies in slots for tally in tallies.values()) == len(NAMES)


@pytest.mark.parametrize(
    "attempt",
    [
        forking.child_holds_nothing,
        forking.child_of_a_silent_fork,
        forking.child_waits,
        forking.child_after_many_threads,
    ],
)
def test_a_forked_child_has_connections_of_its_own(
    cluster: Any, workers: Workers, attempt: Any
) -> None:
    assert workers.start(attempt, Place("", entry=cluster.entry)).result() == []


def test_a_closed_backend_can_be_used_again(servers: Any) -> None:
    for _ in range(2):
        for name in NAMES:
            with lock(name, wait=20):
                pass
        lock_backends["default"].close()


def test_the_check_of_the_clocks_tells_the_nodes_apart(
    servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = chain([0.0, 90.0], repeat(0.0))
    monkeypatch.setattr(
        "django_redislock.backends.redis.clock_checks._ahead", lambda _: next(ahead)
    )
    (text,) = [one.msg for one in check_backends(deploy=True) if one.id == "locks.W007"]
    addresses = [f"127.0.0.1:{server.port}" for server in servers.primaries]
    assert any(f"the clock of {one} is 90.0 s ahead" in text for one in addresses)
