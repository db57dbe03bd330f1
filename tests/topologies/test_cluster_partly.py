"""Lists and forced releases of a Cluster of which one node hangs while the others go on."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from django_redislock import LockError, LockUnavailable, lock, lock_backends
from django_redislock.admin.references import address_of
from django_redislock.checks import check_backends
from django_redislock.management.targets import Targets
from tests.admin.pages import PAGE, RELEASE, names, page, references, release, text_of
from tests.admin.test_refresh import missing, refresh
from tests.management.holds import queue
from tests.support.cluster import ClusterSet
from tests.topologies.places import NAMES, backend, key_of, sure

pytestmark = [pytest.mark.timeout(180), pytest.mark.redis_server("7.0")]

SILENT = re.compile(r"at 127\.0\.0\.1:\d+ accepted the connection and gave no answer in time")


class Held:
    """A held lock in each bucket, soonest end first: those ``there`` stay, the others are lost."""

    def __init__(self, cluster: ClusterSet, number: int) -> None:
        self.cluster = cluster
        self.node = cluster.primaries[number]
        self.handles = [
            lock(name, lease=200 + 9 * end, renew=False) for end, name in enumerate(NAMES)
        ]
        for handle in self.handles:
            assert sure(handle.acquire)
        self.away = [name for name in NAMES if cluster.owner(key_of(name)) is self.node]
        self.there = [name for name in NAMES if name not in self.away]
        assert self.away
        assert self.there

    def lose(self) -> None:
        self.node.kill(signal.SIGSTOP)


@pytest.fixture(scope="module")
def partial() -> Iterator[ClusterSet]:
    """Three primaries. If one hangs, the others go on without finding out."""
    with ClusterSet(args=("--cluster-node-timeout", "60000")) as cluster:
        yield cluster


@pytest.fixture(params=[1])
def held(
    request: pytest.FixtureRequest, partial: ClusterSet, use: Callable[..., Any]
) -> Iterator[Held]:
    use("", entry=partial.entry | {"OPTIONS": {"socket_timeout": 1}})
    held = Held(partial, request.param)
    yield held
    held.node.kill(signal.SIGCONT)
    for handle in held.handles:
        with suppress(LockError):  # lost, or sent later
            handle.release()
    lock_backends["default"].close()


def cleared(**options: Any) -> tuple[str, str]:
    """The output and the error of ``clearlocks``."""
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("clearlocks", interactive=False, stdout=out, **options)
    return out.getvalue(), str(caught.value)


@pytest.mark.parametrize("held", [0, 1, 2], indirect=True)
@pytest.mark.parametrize("options", [{}, {"max": 0}, {"name": NAMES}, {"name": ["*"]}], ids=str)
def test_the_locks_of_the_other_nodes_are_listed(held: Held, options: Any) -> None:
    held.lose()
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("listlocks", stdout=out, format="jsonl", **options)
    assert [json.loads(line)["name"] for line in out.getvalue().splitlines()] == held.there
    assert SILENT.search(str(caught.value))
    assert str(caught.value).endswith("\nSome locks of these backends were not found.")


def test_a_list_for_a_program_is_whole_or_an_error(held: Held) -> None:
    assert [hold.name for hold in backend().list().holds] == NAMES
    held.lose()
    with pytest.raises(LockUnavailable, match="The list of locks is unavailable"):
        backend().list()
    some = backend().entries(1, 3)
    assert [one.name for one in some.entries] == held.there[1:3]
    assert some.total == len(held.there)
    assert isinstance(some.missing, LockUnavailable)


@pytest.mark.parametrize("held", [0, 1], indirect=True)
def test_the_waits_of_the_other_nodes_are_listed(held: Held) -> None:
    for name in NAMES:
        queue(name, "default")
    held.lose()
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("listlocks", waits=True, stdout=out)
    listed = [line.partition(":")[0] for line in out.getvalue().splitlines() if "held by" in line]
    assert listed == held.there
    assert SILENT.search(str(caught.value))
    assert str(caught.value).endswith("\nSome locks of these backends were not found.")
    waited = backend().waited_for(1, 3)
    assert [one.name for one in waited.names] == held.there[1:3]
    assert waited.total == len(held.there)
    assert isinstance(waited.missing, LockUnavailable)


@pytest.mark.django_db
@pytest.mark.parametrize("held", [0, 1], indirect=True)
def test_the_admin_shows_the_waits_and_the_numbers_of_the_other_nodes(
    held: Held, admin_client: Client
) -> None:
    for name in NAMES:
        queue(name, "default")
    there = quote(address_of("default", held.there[0]))
    count = len(held.there)
    held.lose()
    for path in (f"{PAGE}waits/", f"{PAGE}{there}/change/"):
        said = text_of(page(admin_client, path))
        assert "Some locks of the backend “default” cannot be shown." in said
        assert len(SILENT.findall(said)) == 1
        assert "The locks of" not in said
    for path in (PAGE, f"{PAGE}summary/"):
        said = text_of(page(admin_client, path))
        assert f"at least {count} locks held" in said
        assert f"at least {count} with waiters" in said


@pytest.mark.django_db
@pytest.mark.parametrize(("held", "is_whole"), [(0, False), (1, True)], indirect=["held"])
def test_only_the_node_that_has_the_figures_is_asked_for_them(
    held: Held, admin_client: Client, is_whole: bool
) -> None:
    held.lose()
    said = text_of(page(admin_client, f"{PAGE}hot/"))
    assert ("The locks of the backend “default” cannot be shown." not in said) is is_whole


def test_the_locks_of_the_other_nodes_are_cleared(held: Held) -> None:
    held.lose()
    output, error = cleared(all=True)
    assert f"{len(held.there)} locks were released." in output
    assert SILENT.search(error)
    assert error.endswith("\nSome locks of these backends were not found.")
    assert backend().entries().total == 0


def test_nothing_is_cleared_if_only_the_lost_node_has_it(held: Held) -> None:
    held.lose()
    _, error = cleared(name=held.away[0])
    assert SILENT.search(error)
    assert error.endswith("\nNo lock was released.")


def test_locks_that_cannot_be_released_any_more_are_named(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Targets.release

    def without_the_node(targets: Targets) -> Iterator[bool]:
        held.lose()
        yield from original(targets)

    monkeypatch.setattr(Targets, "release", without_the_node)
    _, error = cleared(all=True)
    reason, left, named = error.splitlines()
    assert SILENT.search(reason)
    assert left == (
        f"{len(held.there)} locks were released. {len(held.away)} of {len(NAMES)} locks may still "
        "be held."
    )
    assert sorted(re.findall("“(.*?)”", named)) == sorted(held.away)
    assert backend().entries().total == 0


def test_the_check_names_the_node(held: Held) -> None:
    assert check_backends(deploy=True) == []
    held.lose()
    (message,) = check_backends(deploy=True)
    assert message.id == "locks.W001"
    assert f"at 127.0.0.1:{held.node.port} accepted the connection and gave no" in message.msg


@pytest.mark.django_db
def test_the_admin_shows_the_locks_of_the_other_nodes(held: Held, admin_client: Client) -> None:
    whole = page(admin_client)
    assert names(whole) == NAMES
    held.lose()
    some = page(admin_client)
    assert names(some) == held.there
    refreshed = refresh(admin_client, whole)
    assert missing(refreshed) == ["not known"] * len(held.away)
    for html in (some, refreshed):
        assert "Some locks of the backend “default” cannot be shown." in text_of(html)
        assert len(SILENT.findall(text_of(html))) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("asks_before", [True, False])
def test_the_admin_releases_the_locks_of_the_other_nodes(
    held: Held, admin_client: Client, asks_before: bool
) -> None:
    chosen = references(page(admin_client))
    if asks_before:
        asked = admin_client.post(RELEASE, {"hold": chosen}).content.decode()
        held.lose()
    else:
        held.lose()
        asked = admin_client.post(RELEASE, {"hold": chosen}).content.decode()
    said = release(admin_client, asked, hold=chosen)
    assert f"{len(held.there)} locks were released by force." in said
    assert said.count("may still be held: ") == len(held.away)
    assert backend().entries().total == 0
