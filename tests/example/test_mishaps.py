"""Mishaps of real server processes, and their effects on the sale."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import NamedTuple

import pytest

from django_redislock import LockError, lock, lock_backends
from django_redislock.backends.base import Hold, Waiting
from django_redislock.testing import override_locks
from django_redislock.testing.servers import EmbeddedServer
from example_project.demo.sales import look
from example_project.demo.site import Site
from example_project.settings import LOCKS
from example_project.tickets import mishaps

from .processes import eventually, family
from .sites import pane, post, send, sign_in, until

pytestmark = pytest.mark.timeout(240)


def happen(site: Site, kind: str) -> tuple[int, str]:
    """Cause a mishap of the holder; return the status and the text of the answer."""
    status, _, answer = post(site, "/mishap/", event=pane(site)["event"], kind=kind)
    return status, answer.get("text", "")


class Struck(NamedTuple):
    """The holder that had the mishap, according to the news."""

    pid: int
    fence: str


def strike(site: Site, kind: str) -> Struck:
    """Send four buyers for five tickets, and cause a mishap of one of their processes."""
    assert send(site, tickets=5, buyers=4) == 200
    eventually(lambda: happen(site, kind)[0] == 200, lambda: str(look(site.port)))
    texts = [one["text"] for one in look(site.port)["news"] if one["kind"] == "mishap"]
    found = re.search(r"\(process (\d+), fence (\S+)\)", texts[0])
    assert found
    return Struck(int(found[1]), found[2])


def news(site: Site) -> list[str]:
    """The kinds of the news, oldest first."""
    return [report["kind"] for report in look(site.port)["news"]][::-1]


def sold_out_of_five(site: Site) -> dict[str, int]:
    """Wait for the end of the sale, whose books must be correct; return the buyers' results."""
    shown = until(site, lambda shown: not shown["running"])
    assert shown["sold"] + shown["stock"] == 5
    told: dict[str, int] = shown["rush"]["told"]
    return told


def test_a_killed_holder_keeps_the_lock_for_its_lease_and_is_replaced(site: Site) -> None:
    killed = strike(site, "kill")

    eventually(lambda: killed.pid not in family(site.process.pid), lambda: "it lives")
    told = sold_out_of_five(site)
    # Buyers that waited in the same process lose their connections, too.
    assert told["error"] >= 1
    assert told["sold"] + told["error"] == 4
    assert {post(site, "/buy/", office, event=pane(site)["event"])[0] for office in (0, 1)} == {200}
    assert news(site)[-2:] == ["mishap", "relief"]


def test_a_frozen_holder_loses_the_lock_and_writes_too_late(site: Site) -> None:
    frozen = strike(site, "freeze")

    sold = pane(site)["sold"]
    until(site, lambda shown: shown["sold"] > sold)
    assert send(site, tickets=5, buyers=4) == 409, "the frozen ones have no answer yet"
    assert happen(site, "thaw")[0] == 200
    assert sold_out_of_five(site) == {"sold": 3, "lost": 1}
    refusal = next(one for one in look(site.port)["news"] if one["kind"] == "refusal")
    assert "was lost" in refusal["text"]
    assert f"refuses {frozen.fence}." in refusal["text"]


@pytest.mark.long
def test_a_frozen_holder_can_be_killed(site: Site) -> None:
    strike(site, "freeze")
    assert happen(site, "kill")[0] == 200

    told = sold_out_of_five(site)
    assert told["error"] >= 1
    assert happen(site, "thaw") == (409, "No process is frozen.")


def test_a_holder_without_its_lock_sells_nothing_more(site: Site) -> None:
    robbed = strike(site, "release")

    told = sold_out_of_five(site)
    assert told["lost"] == 1
    assert told["sold"] == 3
    released = "/admin/django_redislock/lock/released/"
    page = sign_in(f"http://127.0.0.1:{site.port}", site.password, released)
    assert f"{robbed.fence[-6:]}. Reason: taken away on the ticket office page" in page
    assert set(news(site)[-3:]) == {"mishap", "relief", "refusal"}
    assert send(site, tickets=5, buyers=0) == 200
    assert news(site) == [], "a new sale has begun"


def test_a_frozen_holder_does_not_know_yet_that_it_lost_its_lock(site: Site) -> None:
    strike(site, "freeze")
    assert happen(site, "release")[0] == 200

    robbed = next(one["text"] for one in look(site.port)["news"] if one["kind"] == "mishap")
    assert robbed.endswith("which is frozen and does not know it yet.")
    assert happen(site, "thaw")[0] == 200
    assert sold_out_of_five(site)["lost"] >= 1


def test_the_next_holder_is_looked_for_while_there_are_waiters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a lease has run out, the lock has no holder until the first waiter has its turn."""
    reports: list[str] = []
    monkeypatch.setattr(mishaps, "report", lambda _kind, text: reports.append(text))
    with override_locks(), lock("sale"):
        backend = lock_backends["default"]
        (robbed,), _queue = backend.inspect("sale")
        following = replace(robbed, token="another", fence=robbed.fence + 1)
        waiter = Waiting("another", 1, robbed.since, robbed.holder)
        seen: list[tuple[list[Hold], list[Waiting]]]
        seen = [([robbed], [waiter]), ([], [waiter]), ([], [waiter]), ([following], [])]
        monkeypatch.setattr(backend, "inspect", lambda _name: seen.pop(0) if seen else ([], []))

        mishaps._report_successor(robbed)
        assert re.fullmatch(r"After \d\.\d s the lock went to .+, fence .+\.", reports[0])
        mishaps._report_successor(robbed)

    assert reports[1:] == ["The lock is free: there were no waiters."]


def test_a_mishap_without_a_holder_is_refused(site: Site) -> None:
    assert happen(site, "kill") == (
        409,
        "The lock is not held at the moment: send the buyers first.",
    )
    assert happen(site, "thaw") == (409, "No process is frozen.")


def test_no_foreign_process_is_harmed(site: Site, redis: EmbeddedServer) -> None:
    name = f"tickets.event:{pane(site)['event']}"
    done = threading.Event()

    def hold_again_and_again() -> None:
        while not done.is_set():
            try:
                with lock(name, wait=5):
                    done.wait(0.4)
            except LockError:
                return

    with override_locks(redis.url, KEY_PREFIX=LOCKS["default"]["KEY_PREFIX"]):
        holder = threading.Thread(target=hold_again_and_again)
        holder.start()
        try:
            for kind in ("kill", "freeze"):
                eventually(
                    lambda kind=kind: "not a process of the demo" in happen(site, kind)[1],
                    lambda: str(look(site.port)),
                )
        finally:
            done.set()
            holder.join()
    assert family(site.process.pid)
