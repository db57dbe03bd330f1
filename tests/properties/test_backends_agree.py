"""Agreement of the memory backend and Redis: the same steps get the same answers.

Nothing here depends on speed. All leases are long. A lease that is to end is made very short, and
then the test waits until it has ended in both backends.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import override_settings
from hypothesis import Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from django_redislock import lock_backends
from django_redislock.backends.base import (
    SHARED,
    BaseLockBackend,
    Busy,
    Claim,
    Extension,
    Grant,
    Hold,
    Holder,
)
from django_redislock.backends.waiters import Waiter
from django_redislock.exceptions import LockError
from tests.support.places import MEMORY, Place
from tests.support.processes import wait_until

LONG = 600.0
LONGER = 1200.0
SHORT = 0.02
# Seconds by which times of the two may differ.
TOLERANCE = 60.0
NAMES = ("a", "b")
TOKENS = tuple(f"token-{number}" for number in range(6))

names = st.sampled_from(NAMES)
tokens = st.sampled_from(TOKENS)
limits = st.sampled_from((1, 2, 3, SHARED))
leases = st.sampled_from((LONG, LONGER))


class Recorder(Waiter):
    """A waiter that records its turns, but not the requests to look again."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.turns: list[int] = []

    def notify(self, turn: Any) -> bool:
        if turn is not None:
            self.turns.append(turn.fence)
        return True


class Side:
    """One of the two backends, with its fences in order and its waiters."""

    def __init__(self, backend: BaseLockBackend) -> None:
        self.backend = backend
        self.fences: dict[str, list[int]] = {name: [] for name in NAMES}
        self.waiters: dict[tuple[str, str], Recorder] = {}

    def rank(self, name: str, fence: int) -> int:
        """The rank of a fence among all fences of the name so far."""
        known = self.fences[name]
        if fence not in known:
            assert not known or fence > known[-1], "fences rise"
            known.append(fence)
        return known.index(fence)

    def enlist(self, claim: Claim) -> None:
        key = (claim.name, claim.token)
        if key not in self.waiters:
            self.waiters[key] = Recorder(claim.token)
            self.backend.listen(claim.name, LONG)
            self.backend.waiters.enter(*key, self.waiters[key])

    def acquire(self, claim: Claim, stay: float) -> tuple[object, ...]:
        try:
            answer = self.backend.acquire(claim, stay)
        except LockError:
            return ("held with a looser limit",)
        if isinstance(answer, Grant):
            self.seen(claim.name)  # those that had their turn before it, in the same step
            return "granted", self.rank(claim.name, answer.fence)
        assert isinstance(answer, Busy)
        holder = answer.holder.what if answer.holder is not None else None
        assert 0 <= answer.held_for < TOLERANCE
        return "busy", holder is not None, round(answer.retry_in / TOLERANCE / 2), answer.position

    def seen(self, name: str) -> object:
        """The holders, sorted, and the queue."""
        holds, queue = self.backend.inspect(name)
        # One step may have granted several.
        by_fence = sorted(holds, key=lambda hold: hold.fence)
        shown = sorted([self.shown(hold) for hold in by_fence])
        return shown, [(one.token, one.limit, one.holder.what) for one in queue]

    def shown(self, hold: Hold) -> tuple[object, ...]:
        assert 0 < hold.remaining <= LONGER
        assert 0 <= hold.age < TOLERANCE
        return (
            hold.name, hold.token, self.rank(hold.name, hold.fence), hold.limit, hold.lease,
            hold.waiters, hold.held, hold.shared, hold.holder.what, hold.detached,
            round(hold.remaining / TOLERANCE / 2), hold.term and round(hold.term / TOLERANCE / 2),
        )  # fmt: skip

    def listed(self) -> object:
        page = self.backend.list(0, 100)
        entries = self.backend.entries(0, 100)
        walked = [entry for some in self.backend.walk() for entry in some]
        assert page.total == entries.total == len(page.holds) == len(walked)
        remaining = [entry.remaining for entry in entries.entries]
        assert remaining == sorted(remaining), "soonest end first"
        found = self.backend.look_up(entries.entries)
        assert [one.token for one in found] == [one.token for one in page.holds]
        assert {one[:2] for one in walked} == {one[:2] for one in entries.entries}
        assert [len(self.backend.entries(1, 2).entries)] == [max(0, min(1, entries.total - 1))]
        waited, total, _ = self.backend.waited_for()
        assert total == len(waited)
        names = sorted((one.name, one.waiters) for one in waited)
        return sorted(self.shown(hold) for hold in page.holds), names

    def notified(self) -> dict[tuple[str, str], int]:
        return {key: len(one.turns) for key, one in self.waiters.items() if one.turns}


class BackendsAgree(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        place = Place(django_settings.REDIS_URL, f"test-{uuid.uuid4().hex[:12]}")
        both = place.settings()
        # The memory backend ignores it, since all its waiters are in the same process.
        options = {"OPTIONS": {"grant_lease": LONGER}}
        both["LOCKS"]["default"] |= options
        both["LOCKS"]["memory"] = {"BACKEND": MEMORY, **options}
        self.settings = override_settings(**both)
        self.settings.enable()
        self.refused: set[tuple[str, str]] = set()
        self.sides = [Side(lock_backends["default"]), Side(lock_backends["memory"])]

    def teardown(self) -> None:
        if hasattr(self, "settings"):
            for side in self.sides:
                side.backend.close()
            self.settings.disable()

    def both(self, act: Any) -> Any:
        """Let both act, and compare their answers and their states afterwards."""
        redis, memory = (act(side) for side in self.sides)
        assert redis == memory, f"redis: {redis!r}, memory: {memory!r}"
        self.compare()
        return redis

    def compare(self) -> None:
        redis, memory = self.sides
        # A turn arrives on another connection than the reply to the command that caused it. Without
        # a waiter, the thread that receives it gives it back.
        self.agree("turns", redis.notified, memory.notified)
        for name in NAMES:
            self.agree(name, partial(redis.seen, name), partial(memory.seen, name))

    def agree(self, what: str, redis: Callable[[], object], memory: Callable[[], object]) -> None:
        try:
            wait_until(lambda: redis() == memory(), within=5)
        except AssertionError:
            raise AssertionError(f"{what}: redis {redis()!r}, memory {memory()!r}") from None

    def answer(self, side: Side, claim: Claim, stay: float) -> object:
        """A claim that is refused because it was cancelled does not get the holder of the name."""
        answer = side.acquire(claim, stay)
        return answer[0] if (claim.name, claim.token) in self.refused else answer

    def claim(self, name: str, token: str, limit: int, lease: float) -> Claim:
        return Claim(name, token, limit, lease, Holder(what=token).pack())

    def has_left(self, name: str) -> bool:
        """Whether a waiter in the queue has left without a word.

        In memory its turn fails at once. Redis learns of it from the process of the waiter, after
        it has answered, unless that process has released the name.
        """
        memory = self.sides[1]
        queue = memory.backend.inspect(name)[1]
        return any((name, one.token) not in memory.waiters for one in queue)

    @rule(name=names, token=tokens, limit=limits, lease=leases)
    def acquire(self, name: str, token: str, limit: int, lease: float) -> None:
        if self.has_left(name):
            return
        claim = self.claim(name, token, limit, lease)
        self.both(lambda side: self.answer(side, claim, 0.0))

    @rule(name=names, token=tokens, limit=limits, lease=leases)
    def queue(self, name: str, token: str, limit: int, lease: float) -> None:
        if self.has_left(name):
            return
        claim = self.claim(name, token, limit, lease)

        def act(side: Side) -> object:
            side.enlist(claim)
            return self.answer(side, claim, LONG)

        self.both(act)

    @rule(name=names, token=tokens)
    def release(self, name: str, token: str) -> None:
        if any(one.token == token for one in self.sides[1].backend.inspect(name)[1]):
            return  # see the test below
        self.both(lambda side: side.backend.release(name, token))

    @rule(name=names, token=tokens)
    def force_release(self, name: str, token: str) -> None:
        if not self.has_left(name):
            self.both(lambda side: side.backend.force_release(name, token))

    @rule(holds=st.lists(st.tuples(names, tokens), max_size=4))
    def force_release_all(self, holds: list[tuple[str, str]]) -> None:
        if not any(self.has_left(name) for name, _ in holds):
            self.both(lambda side: list(side.backend.force_release_all(holds)))

    @rule(name=names, token=tokens, late=st.sampled_from((0.0, LONG)))
    def cancel(self, name: str, token: str, late: float) -> None:
        if self.has_left(name):
            return
        if late:
            self.refused.add((name, token))
        self.both(lambda side: side.backend.cancel(name, token, late))

    @rule(holds=st.lists(st.tuples(names, tokens), min_size=1, max_size=3), lease=leases,
          flags=st.tuples(st.booleans(), st.booleans()))  # fmt: skip
    def extend(self, holds: list[tuple[str, str]], lease: float, flags: tuple[bool, bool]) -> None:
        extensions = [Extension(name, token, lease, *flags) for name, token in holds]
        self.both(lambda side: [end is not None for end in side.backend.extend_all(extensions)])

    @rule(name=names, token=tokens)
    def leave(self, name: str, token: str) -> None:
        """The attempt is over and receives no more messages, but has not been cancelled."""

        def act(side: Side) -> None:
            if (name, token) in side.waiters:
                del side.waiters[name, token]
                side.backend.waiters.leave(name, token)

        self.both(act)

    @rule(name=names, token=tokens)
    def lapse(self, name: str, token: str) -> None:
        """A lease ends by itself."""

        def act(side: Side) -> bool:
            return side.backend.extend(Extension(name, token, SHORT)) is not None

        def ended(side: Side) -> bool:
            return token not in [hold.token for hold in side.backend.inspect(name)[0]]

        if [act(side) for side in self.sides] == [True, True]:
            wait_until(lambda: all(map(ended, self.sides)))
        self.compare()

    @rule()
    def list(self) -> None:
        self.both(Side.listed)


BackendsAgree.TestCase.settings = settings(
    max_examples=30,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    stateful_step_count=30,
)


class TestBackendsAgree(BackendsAgree.TestCase):
    pass


@pytest.mark.parametrize("using", ["default", "memory"])
def test_a_release_by_a_token_that_waits_changes_nothing(using: str) -> None:
    """The claim has no hold to release, and keeps its position in the queue."""
    backend = lock_backends[using]
    holder, waiter = (Claim("a", token, 1, LONG, Holder(what=token).pack()) for token in TOKENS[:2])
    backend.acquire(holder)
    backend.listen("a", LONG)
    backend.waiters.enter("a", waiter.token, Recorder(waiter.token))
    backend.acquire(waiter, LONG)
    assert not backend.release("a", waiter.token)
    queue = [one.token for one in backend.inspect("a")[1]]
    backend.cancel("a", waiter.token)
    backend.waiters.leave("a", waiter.token)
    backend.release("a", holder.token)
    assert queue == [waiter.token]
