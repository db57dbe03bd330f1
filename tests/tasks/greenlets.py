"""Fifty greenlets of one process that wait for one lock. Run as a program; prints what happened."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402 - nothing may be imported before the patches
import sys  # noqa: E402 - as above
import time  # noqa: E402 - as above
from itertools import pairwise  # noqa: E402 - as above

import django  # noqa: E402 - as above
import gevent  # noqa: E402 - as above

from django_redislock import lock, lock_backends  # noqa: E402 - as above

NUMBER = 50


def main() -> None:
    django.setup()
    served: list[int] = []
    ticks: list[float] = []

    def wait(number: int) -> None:
        with lock("a", wait=30):
            served.append(number)

    def tick() -> None:
        while True:
            ticks.append(time.monotonic())
            gevent.sleep(0.01)

    ticking = gevent.spawn(tick)
    held = lock("a", lease=2)
    held.acquire()
    waiting = []
    for number in range(NUMBER):
        waiting.append(gevent.spawn(wait, number))
        while len(lock_backends["default"].inspect("a")[1]) <= number:
            gevent.sleep(0.001)
    # Longer than the lease, since the renewal is a greenlet, too.
    gevent.sleep(3)
    held.check()
    held.release()
    gevent.joinall(waiting, raise_error=True)
    ticking.kill()
    pauses = [after - before for before, after in pairwise(ticks)]
    json.dump({"served": served, "longest_pause": max(pauses)}, sys.stdout)


main()
