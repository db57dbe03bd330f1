"""Handles, threads, tasks and transactions in any order: what a handle says is true.

Nothing here depends on speed. All leases are long; an attempt that waits does so in a thread of its
own, until the test has released what is in its way.
"""

from __future__ import annotations

import gc
import math
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import Phase, settings, strategies as st
from hypothesis.stateful import invariant, precondition, rule

from django_redislock import LockError, MultiLock, lock
from tests.properties.machine import LONG, NAMES, HandleMachine, Undo, parts_of, tokens_of
from tests.support.processes import wait_until

names = st.sampled_from(NAMES)
ways = st.sampled_from(("call", "thread", "task"))
# Which of the handles, counted from the latest.
which = st.integers(0, 7)


class Handles(HandleMachine):
    @rule(
        name=names, limit=st.sampled_from((1, 1, 1, 2, 3)), shared=st.sampled_from((0, 0, 1)),
        reentrant=st.booleans(), min_hold=st.sampled_from((0, 0, 0, LONG)),
    )  # fmt: skip
    def make(self, name: str, limit: int, shared: int, reentrant: bool, min_hold: float) -> None:
        options: dict[str, Any] = {"shared": True} if shared else {"limit": limit}
        options |= {"reentrant": True} if reentrant else {"min_hold": min_hold}
        self.handles.append(lock(name, using=self.using, lease=LONG, wait=0, **options))

    @rule(number=which)
    def make_with_token(self, number: int) -> None:
        if handle := self.pick(number):
            one = parts_of(handle)[0]
            options: dict[str, Any] = {"shared": True} if one._terms.shared else {}
            options |= {} if options else {"limit": one.limit}
            options |= {"token": one.token, "using": self.using, "lease": LONG, "wait": 0}
            self.given.add(one.token)
            self.handles.append(lock(one.name, **options))

    @rule(reentrant=st.booleans())
    def make_several(self, reentrant: bool) -> None:
        self.handles.append(
            lock([*NAMES], using=self.using, lease=LONG, wait=0, reentrant=reentrant)
        )

    @rule(number=which, way=ways)
    def acquire(self, number: int, way: str) -> None:
        handle = self.pick(number, held=False)
        if handle is None or self.is_asked_for(handle):
            return
        parts, was_held = parts_of(handle), handle.held
        before = {part.name: self.there(part.name) for part in parts}
        try:
            acquired = self.do(way, handle, "acquire", 0)
        except LockError as error:
            if any(part.held for part in parts) or "limit" in str(error):
                return
            raise
        assert not was_held
        assert handle.held == acquired
        for part in parts:
            if acquired and way != "thread" and part.token not in before[part.name]:
                self.acquired[part.token] = [*self.blocks]
            if acquired and part.token not in before[part.name] | self.forced and not self.waits:
                assert part.fence > self.fences[part.name]
            self.fences[part.name] = max(part.fence, self.fences[part.name])
            # The only hold of a name is shared inside a transaction, whatever the token.
            assert not acquired or part._hold.limit == 1 or part._terms.token in (None, part.token)
        if not acquired:
            name = handle._asked.name if isinstance(handle, MultiLock) else handle.name
            assert before[name] or self.waits
            for part in parts:
                assert not part.held
                assert part.token not in self.there(part.name) - before[part.name]

    @rule(number=which)
    def wait(self, number: int) -> None:
        handle = self.pick(number, held=False)
        if handle is None or handle.held or self.is_asked_for(handle) or len(self.waits) == 8:
            return
        self.forced |= tokens_of(handle) & self.given
        self.handles.remove(handle)
        self.waits.append((handle, self.waiting.submit(handle.acquire, math.inf)))

    @rule(number=which, way=ways)
    def release(self, number: int, way: str) -> None:
        if handle := self.pick(number, held=True):
            self.note_kept(handle)
            was_held = handle.held
            with self.losses(handle, was_held=was_held):
                self.do(way, handle, "release")
                if was_held:
                    self.note_released(handle, elsewhere=way == "thread")
            assert not handle.held

    @rule(number=which, way=ways)
    def extend(self, number: int, way: str) -> None:
        if handle := self.pick(number, held=True):
            with self.losses(handle, was_held=handle.held):
                self.do(way, handle, "extend", LONG)

    @rule(number=which, way=ways)
    def detach(self, number: int, way: str) -> None:
        handle = self.pick(number, held=True)
        if handle is not None and not isinstance(handle, MultiLock):
            parts = [part for one in self.handles for part in parts_of(one) if part is not handle]
            others = [part for part in parts if part.held and part.token == handle.token]
            with self.losses(handle, was_held=handle.held):
                self.kept.add(self.do(way, handle, "detach"))
                assert not handle.held
                assert not others

    @rule(number=which, error=st.booleans())
    def leave_block(self, number: int, error: bool) -> None:
        if handle := self.pick(number, held=True):
            self.note_kept(handle)
            fault, was_held = Undo() if error else None, handle.held
            with self.losses(handle, was_held=was_held):
                handle.__exit__(fault and type(fault), fault, None)
                if was_held and not tokens_of(handle) & self.forced:
                    self.note_released(handle)
            assert not handle.held

    @rule(number=which)
    def drop(self, number: int) -> None:
        if handle := self.pick(number):
            self.kept |= tokens_of(handle)
            self.handles.remove(handle)
            del handle
            gc.collect()

    @rule(number=which)
    def force_release(self, number: int) -> None:
        if handle := self.pick(number):
            for part in parts_of(handle):
                if self.backend.force_release(part.name, part.token):
                    self.forced.add(part.token)

    @precondition(lambda self: len(self.blocks) < 3)
    @rule()
    def enter(self) -> None:
        self.blocks.append(transaction.atomic())
        self.blocks[-1].__enter__()

    @precondition(lambda self: self.blocks)
    @rule(commit=st.booleans())
    def leave(self, commit: bool) -> None:
        self.end_block(commit=commit)

    @precondition(lambda self: not self.blocks)
    @rule(commit=st.booleans(), number=which, way=ways)
    def without_autocommit(self, commit: bool, number: int, way: str) -> None:
        transaction.set_autocommit(False)
        try:
            self.acquire(number, way)
            handle = self.pick(number)
            held = handle is not None and handle.held
            tokens = tokens_of(handle) - self.given - self.forced if held else set()
            self.release(number, way)
            there = {token for name in NAMES for token in self.there(name)}
            assert way == "thread" or tokens <= there, "held until the transaction is over"
            (connection.commit if commit else connection.rollback)()
        finally:
            transaction.set_autocommit(True)

    # What always holds.

    @invariant()
    def what_handles_say_is_true(self) -> None:
        if not hasattr(self, "backend"):
            return
        for name in NAMES:
            wait_until(lambda name=name: self.is_settled(name), what=name)

    def is_settled(self, name: str) -> bool:
        self.settle()
        parts = [part for handle in self.handles for part in parts_of(handle) if part.name == name]
        held = {part.token for part in parts if part.held}
        waiting = {part.token for handle, _ in self.waits for part in parts_of(handle)}
        holds, queue = self.backend.inspect(name)
        there = {hold.token for hold in holds}
        assert held - self.forced <= there, "what a handle holds is held"
        self.tokens[name] |= there
        tied = self.tokens[name].intersection(self.released) - self.given - self.forced - self.kept
        assert tied <= there, "what a transaction holds is held"
        limits = [hold.limit for hold in holds]
        limits += [part.limit for part in parts if part.held and part.token not in self.forced]
        assert len(holds) <= min(limits, default=1)
        if self.blocks:
            return True
        # Nothing is held that no handle can release, and nothing waits for nothing.
        return there <= held | waiting | self.kept and bool(holds or not queue)


Handles.TestCase.settings = settings(
    max_examples=120,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    stateful_step_count=60,
)


# A handle that was dropped in a transaction is kept by it, and may go when the transaction ends.
@pytest.mark.filterwarnings("ignore:The handle of the lock:ResourceWarning")
@pytest.mark.django_db(transaction=True)
class TestHandles(Handles.TestCase):
    pass
