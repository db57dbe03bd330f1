"""Adapter: the steps of the model, taken by the real backend on the real server.

This is the only place that knows both. It calls the verbs of the backend and receives its
wake-ups, and does not know the stored data.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Collection
from typing import Any, NamedTuple

from redis import Redis

from django_redislock.backends.base import Claim, Extension, Grant
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.waiters import Turn, Waiters
from django_redislock.conf import LockConfig
from django_redislock.holder import Holder
from tests.support.processes import wait_until
from tests.support.server_clock import ServerClock

from ..protocol.model import Model
from ..protocol.terms import Terms
from ..protocol.world import Message

__all__ = ["Stage"]

TICK = 10.0  # seconds; far more than any step takes on our own clock
# A server's clock goes on while it runs a command. A tick is a little longer than the tick of a
# lease, so that leases that end with the tick have ended.
LITTLE = 0.1
RECEIVED_WITHIN = 20.0  # seconds; a deadline for a machine under load
HOLDER = Holder(host="model").pack()


class Notification(NamedTuple):
    """A message to a process: a turn with its fence and end, or the loss of a hold."""

    verb: str
    name: str
    token: str
    fence: int = 0
    expires: float = 0.0


class Recorder(Waiters):
    """Waiters that record the turns of all tokens, and keep listening."""

    def __init__(self, grant_lease: float) -> None:
        super().__init__(grant_lease)
        self.received: queue.SimpleQueue[Notification] = queue.SimpleQueue()

    def __bool__(self) -> bool:
        return True

    def notify(self, name: str, token: str, turn: Turn) -> bool:
        self.received.put(Notification("turn", name, token, turn.fence, turn.expires))
        return True

    def nudge(self, *names: str) -> Collection[str]:
        return names


class Process(RedisLockBackend):
    """The backend of one process of the model."""

    def __init__(self, prefix: str, grant_lease: float) -> None:
        super().__init__(LockConfig(key_prefix=prefix), grant_lease=grant_lease, metrics=False)
        self.recorder = self.waiters = self.wakeups._waiters = Recorder(grant_lease)

    def _force_released(self, name: str, token: str) -> None:
        self.recorder.received.put(Notification("lost", name, token))

    def give_back(self, name: str, token: str) -> None:
        """Give the turn of an ended attempt back, as a process does."""
        self._return_turn(name, token)


class Stage:
    """A server and its processes. ``begin()`` clears it for another trace."""

    def __init__(self, client: Redis, clock: ServerClock, prefix: str, terms: Terms) -> None:
        self.client, self.clock, self.terms = client, clock, terms
        number = max(terms.processes[: terms.clients]) + 1
        self.processes = [Process(prefix, terms.grant_lease * TICK) for _ in range(number)]
        self.names = [f"name:{number}" for number in range(terms.names)]
        self.tokens = [f"{number:032x}" for number in range(terms.clients * terms.attempts)]
        self.fences: dict[str, int] = {}
        self.highest: dict[str, int] = {}
        self.granted: list[tuple[str, str, int]] = []  # in this step: name, token, fence

    def close(self) -> None:
        for process in self.processes:
            process.close()

    def begin(self) -> None:
        self._advance(1000 * TICK)
        self.client.flushall()
        self.fences.clear()
        self.granted.clear()
        for number, process in enumerate(self.processes):
            self.relink(number)
            while not process.recorder.received.empty():
                process.recorder.received.get()

    def step(self, label: tuple[Any, ...], before: Model, after: Model) -> None:
        """Take a step of the model, and compare the results."""
        verb, *arguments = label
        if verb == "tick":
            self._advance(TICK + LITTLE)
        elif verb == "jump":
            self._advance((TICK + LITTLE) * self.terms.jump)
        elif verb == "flush":
            self.client.flushall()
            self._advance(0.001)
        elif verb in ("crash", "unlink"):
            self.unlink(arguments[0])
        elif verb == "relink":
            self.relink(arguments[0])
        elif verb == "force":
            self._forget_ended(before)
            self._force(before)
        elif verb == "run":
            self._forget_ended(before)
            self._run(arguments[0], before, after)
        else:
            return
        if verb in ("run", "force"):
            self._compare_wakeups(before, after)
            self._compare_fences()
        for name in range(self.terms.names):
            self._compare_name(name, after)
        self._compare_index(after)

    def _advance(self, seconds: float) -> None:
        """Set the clock; the server reads its own only once in a millisecond."""
        now = self.clock.advance(seconds)
        wait_until(lambda: self._server_time() >= now, within=RECEIVED_WITHIN)

    def unlink(self, number: int) -> None:
        process = self.processes[number]
        if process.listening(self.names[0]):
            links = self._links()
            process.wakeups.close()
            wait_until(lambda: self._links() < links, within=RECEIVED_WITHIN)

    def relink(self, number: int) -> None:
        for name in self.names:
            self.processes[number].listen(name, RECEIVED_WITHIN)
            assert self.processes[number].listening(name)

    def _links(self) -> int:
        return len(self.client.client_list(_type="pubsub"))

    def _force(self, before: Model) -> None:
        assert before.seen is not None
        name, token = before.seen
        hold = before.server.hold(name, token)
        released = self.processes[0].force_release(self.names[name], self.tokens[token])
        assert released == (hold is not None and hold.ends > 0)

    def _run(self, message: Message, before: Model, after: Model) -> None:
        process = self.processes[self.terms.processes[self.terms.client_of(message.token)]]
        name, token = self.names[message.name], self.tokens[message.token]
        length = message.value * TICK
        if message.kind == "acquire":
            self._acquire(process, message, after)
        elif message.kind in ("renew", "extend"):
            renewal = message.kind == "renew"
            ends = process.extend(Extension(name, token, length, renewal))
            hold = after.server.hold(message.name, message.token)
            before_hold = before.server.hold(message.name, message.token)
            if before_hold is None or before_hold.ends <= 0:
                assert ends is None
            else:
                assert hold is not None
                assert ticks_until(ends) == hold.ends
        elif message.kind == "release" and not message.value:
            hold = before.server.hold(message.name, message.token)
            assert process.release(name, token) == (hold is not None and hold.ends > 0)
        elif message.kind == "give_back":
            process.give_back(name, token)
        else:
            # A release that marks late claims is a cancel: it ends the hold just the same.
            process.cancel(name, token, length)

    def _acquire(self, process: Process, message: Message, after: Model) -> None:
        client = self.terms.client_of(message.token)
        name, token = self.names[message.name], self.tokens[message.token]
        lease, stay = self.terms.lease * TICK, message.value * TICK
        claim = Claim(name, token, self.terms.limits[client], lease, HOLDER)
        answer = process.acquire(claim, stay)
        hold = after.server.hold(message.name, message.token)
        if hold is None:
            assert not isinstance(answer, Grant)
            holds = after.server.holds[message.name]
            marked = any(message.token == one for one, _ in after.server.gone)
            retry_in = 0 if marked else min((one.ends for one in holds), default=0)
            assert round(answer.retry_in / TICK) == retry_in
        else:
            assert isinstance(answer, Grant)
            # The reply names no end. Where an extension came before a request that was sent twice,
            # the hold lasts longer than the lease that its client counts.
            assert ticks_until(answer.ends) == self.terms.lease <= hold.ends
            self.granted.append((name, token, answer.fence))

    # Comparisons.

    def _compare_wakeups(self, before: Model, after: Model) -> None:
        """Each process receives the expected messages; those of one script come in any order."""
        messages = [("turn", token, ends) for token, ends in after.server.handed]
        sent = set(after.net) - set(before.net)
        messages += [("lost", one.token, 0) for one in sent if one.kind == "lost"]
        for process in self.processes:
            due = [
                (verb, self.tokens[token], ends)
                for verb, token, ends in messages
                if self._process_of(token) is process
            ]
            received = [process.recorder.received.get(timeout=RECEIVED_WITHIN) for _ in due]
            assert sorted(map(self._described, received)) == sorted(due)
            self.granted += [
                (one.name, one.token, one.fence) for one in received if one.verb == "turn"
            ]

    def _described(self, received: Notification) -> tuple[str, str, int]:
        is_turn = received.verb == "turn"
        ends = round((received.expires - self._server_time()) / TICK) if is_turn else 0
        return received.verb, received.token, ends

    def _compare_fences(self) -> None:
        """A script may grant several claims, whose messages may arrive in another order."""
        new: dict[str, dict[str, int]] = {}
        for name, token, fence in self.granted:
            known = new.setdefault(name, {}).setdefault(token, self.fences.get(token, fence))
            assert fence == known, "another fence for the same hold"
        self.granted.clear()
        for name, fences in new.items():
            risen = [fence for token, fence in fences.items() if token not in self.fences]
            assert all(fence > self.highest.get(name, 0) for fence in risen), "it does not rise"
            assert len(set(risen)) == len(risen), "a fence that was given twice"
            self.highest[name] = max(risen, default=self.highest.get(name, 0))
            self.fences.update(fences)

    def _forget_ended(self, before: Model) -> None:
        """Forget fences of ended holds: such a claim may get the name again, with another fence."""
        live = {one.token for holds in before.server.holds for one in holds if one.ends > 0}
        for number, token in enumerate(self.tokens):
            if number not in live:
                self.fences.pop(token, None)

    def _compare_name(self, number: int, after: Model) -> None:
        name = self.names[number]
        holds, waiting = self.processes[0].inspect(name)
        expected = {
            self.tokens[one.token]: (one.ends, one.limit)
            for one in after.server.holds[number]
            if one.ends > 0
        }
        assert {one.token: (round(one.remaining / TICK), one.limit) for one in holds} == expected
        assert {one.token: one.fence for one in holds} == {
            token: self.fences[token] for token in expected
        }
        queue = [one for one in after.server.queues[number] if one.deadline > 0]
        assert [one.token for one in waiting] == [self.tokens[one.token] for one in queue]

    def _compare_index(self, after: Model) -> None:
        expected = {
            (self.names[number], self.tokens[one.token], one.ends)
            for number, holds in enumerate(after.server.holds)
            for one in holds
            if one.ends > 0
        }
        entries, total, _ = self.processes[0].entries(0, 100)
        assert {(one.name, one.token, round(one.remaining / TICK)) for one in entries} == expected
        assert total == len(expected)

    def _process_of(self, token: int) -> Process:
        return self.processes[self.terms.processes[self.terms.client_of(token)]]

    def _server_time(self) -> float:
        seconds, microseconds = self.client.time()
        return float(seconds) + float(microseconds) / 1_000_000


def ticks_until(ends: float | None) -> int:
    """A lease in ticks, by our own clock."""
    return 0 if ends is None else round((ends - time.monotonic()) / TICK)
