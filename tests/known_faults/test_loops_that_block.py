"""An event loop that stands still costs the other waiters of its process one grant lease."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from django_redislock import lock
from tests.known_faults.witness import Witness, in_thread
from tests.support.places import Place

GRANT_LEASE = 0.5
TASKS = 5
# Each of them would cost as much; a machine under load may need longer than one.
ENOUGH = 3.5 * GRANT_LEASE


def test_a_loop_that_stands_still(place: Place, settings: Any) -> None:
    both = Witness.settings(place)
    for entry in both["LOCKS"].values():
        entry["OPTIONS"] = {"grant_lease": GRANT_LEASE}
    settings.CACHES, settings.LOCKS = both["CACHES"], both["LOCKS"]
    witness = Witness().teach()
    held = witness.lock("a", lease=60)
    held.acquire()
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(lock("a", lease=30).aacquire(wait=60)) for _ in range(TASKS)]

    async def until_queued() -> None:
        while len(witness.queue("a")) < TASKS:
            await asyncio.sleep(0.001)

    loop.run_until_complete(until_queued())
    # Nothing runs in the loop from now on.
    waiter, got = lock("a", lease=30), []
    thread = in_thread(lambda: got.append((waiter.acquire(wait=60), time.monotonic())))
    witness.wait_until_queued("a", TASKS + 1)
    began = time.monotonic()
    held.release()
    thread.join(10 * GRANT_LEASE)
    took = got[0][1] - began if got else float("inf")
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    thread.join()
    waiter.release()
    assert took < ENOUGH
