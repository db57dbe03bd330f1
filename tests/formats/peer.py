"""Peer: a process that calls the verbs of one build: ``python peer.py BUILD URL PREFIX``.

It reads a JSON list of a verb and arguments from each line, and answers with a line of JSON.
"""

from __future__ import annotations

import json
import queue
import sys
from typing import Any

build, url, prefix = sys.argv[1:]
sys.path.insert(0, build)

from django.conf import settings  # noqa: E402

settings.configure(
    CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}}
)

from django_redislock.backends.base import Claim, Extension, Grant, Holder  # noqa: E402
from django_redislock.backends.redis import RedisLockBackend  # noqa: E402
from django_redislock.backends.waiters import Waiter  # noqa: E402
from django_redislock.conf import LockConfig  # noqa: E402
from django_redislock.figures.meter import Batch  # noqa: E402
from django_redislock.figures.tallies import Tally  # noqa: E402


class Recorder(Waiter):
    """A waiter that records its turns."""

    def __init__(self) -> None:
        self.turns: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def notify(self, turn: Any) -> bool:
        if turn is not None:
            self.turns.put(turn)
        return True

    # The build in format-1.zip calls it by this name.
    tell = notify


class Peer:
    def __init__(self) -> None:
        self.backend = RedisLockBackend(LockConfig(key_prefix=prefix), grant_lease=20)
        self.recorders: dict[str, Recorder] = {}
        self.lost: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.backend.on_force_release = lambda _place, _name, token: self.lost.put(token)

    def _ask(self, name: str, token: str, limit: int, stay: float) -> Any:
        holder = Holder(host="host", pid=7, what=token, label="größe")
        reply = self.backend.acquire(Claim(name, token, limit, 30.0, holder.pack()), stay)
        if isinstance(reply, Grant):
            return reply.fence
        return reply.holder and reply.holder.what

    def acquire(self, name: str, token: str, limit: int = 1) -> Any:
        return self._ask(name, token, limit, 0.0)

    def queue(self, name: str, token: str, limit: int = 1) -> Any:
        recorder = self.recorders[token] = Recorder()
        self.backend.waiters.enter(name, token, recorder)
        self.backend.listen(name, 30.0)
        return self._ask(name, token, limit, 30.0)

    def turn(self, token: str) -> int:
        return int(self.recorders[token].turns.get(timeout=30).fence)

    def wait_for_lost(self) -> str:
        return self.lost.get(timeout=30)

    def extend(self, name: str, token: str) -> bool:
        # The older build has one verb for one and for many.
        extend_all = getattr(self.backend, "extend_all", self.backend.extend)
        return extend_all([Extension(name, token, 60.0)])[0] is not None

    def release(self, name: str, token: str) -> bool:
        return self.backend.release(name, token)

    def force_release(self, name: str, token: str) -> bool:
        return self.backend.force_release(name, token)

    def cancel(self, name: str, token: str, late: float = 0.0) -> None:
        self.backend.cancel(name, token, late)

    def inspect(self, name: str) -> Any:
        holds, waiting = self.backend.inspect(name)
        return [[_seen(hold) for hold in holds], [one.token for one in waiting]]

    def list(self) -> Any:
        return [_seen(hold) for hold in self.backend.list().holds]

    def count(self, batch: str, family: str, acquired: int) -> None:
        self.backend.add_tallies(Batch(batch, {family: Tally(acquired=acquired)}))

    def figures(self) -> Any:
        """How often each family was acquired in the last hour, and all in the last minutes."""
        families: dict[str, int] = {}
        for slot in self.backend.tallies():
            for family, tally in slot.tallies.items():
                families[family] = families.get(family, 0) + tally.acquired
        return [families, sum(minute.tally.acquired for minute in self.backend.minutes())]

    def waited_for(self) -> Any:
        return [[one.name, one.waiters] for one in self.backend.waited_for().names]


def _seen(hold: Any) -> list[Any]:
    return [hold.name, hold.token, hold.fence, hold.limit, hold.holder.label, hold.waiters]


def main() -> None:
    peer = Peer()
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(getattr(peer, verb)(*arguments)) + "\n")
        sys.stdout.flush()
    peer.backend.close()


main()
