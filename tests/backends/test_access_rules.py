"""The access rules of the documentation are enough for all that the backend does."""

from __future__ import annotations

import re
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from django_redislock import lock, lock_backends
from django_redislock.counting import _tell
from django_redislock.testing.servers import HOST, EmbeddedServer
from tests.concurrency import jobs
from tests.support.cluster import ClusterSet
from tests.support.processes import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"


def rules() -> list[str]:
    (lines,) = re.findall(r"^ACL (SETUSER.+\n(?: .+\n)*)", PAGE.read_text(), re.MULTILINE)
    return lines.split()


@pytest.fixture(params=["alone", "cluster"])
def backend(request, use):
    with ExitStack() as stack:
        if request.param == "cluster":
            servers = stack.enter_context(ClusterSet(2)).primaries
            scheme = "cluster"
        else:
            servers, scheme = [stack.enter_context(EmbeddedServer())], "redis"
        for server in servers:
            with Redis.from_url(server.url) as client:
                client.execute_command("ACL", *rules())
        location = f"{scheme}://locks:secret@{HOST}:{servers[0].port}"
        use("", prefix="lock", entry={"LOCATION": location})
        yield lock_backends["default"]
        lock_backends["default"].close()


def test_they_suffice(backend):
    held, waiter = lock("a", lease=2), lock("a", wait=30)
    held.acquire()
    thread = threading.Thread(target=waiter.acquire)
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 1)
    assert not held.lost.wait(3), "it is renewed"
    assert [hold.waiters for hold in backend.list().holds] == [1]
    held.release()
    thread.join()
    assert [len(entries) for entries in backend.walk() if entries] == [1]
    assert list(backend.force_release_all([("a", waiter.token)])) == [True]
    assert waiter.lost.wait(20)
    _tell(backend)
    assert sum(slot.tallies["a"].acquired for slot in backend.tallies() if slot.tallies) == 2
