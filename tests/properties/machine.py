"""Bookkeeping of a test that uses handles at random: what should be held, and by which token."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.test import override_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from django_redislock import LockError, LockLost, MultiLock, lock, lock_backends
from django_redislock.exceptions import LockMisuse
from django_redislock.local.registry import registry
from tests.support.places import MEMORY, Place
from tests.support.processes import wait_until

LONG = 600.0
NAMES = ("a", "b")


class Undo(Exception):
    """Rolls a transaction back."""


def parts_of(handle: Any) -> list[Any]:
    return list(handle.locks) if isinstance(handle, MultiLock) else [handle]


def tokens_of(handle: Any) -> set[str]:
    return {part.token for part in parts_of(handle)}


class HandleMachine(RuleBasedStateMachine):
    """Begins with no handle, and ends when nothing is held and no attempt waits."""

    @initialize(using=st.sampled_from(("default", "memory")))
    def begin(self, using: str) -> None:
        place = Place(django_settings.REDIS_URL, f"test-{uuid.uuid4().hex[:12]}")
        both = place.settings()
        both["LOCKS"]["memory"] = {"BACKEND": MEMORY, "KEY_PREFIX": place.prefix}
        self.settings = override_settings(**both)
        self.settings.enable()
        self.using = using
        self.backend = lock_backends[using]
        self.thread, self.waiting = ThreadPoolExecutor(1), ThreadPoolExecutor(8)
        self.handles: list[Any] = []
        self.waits: list[tuple[Any, Future[bool]]] = []
        self.blocks: list[Any] = []
        # Tokens acquired in the present transaction, and those released in it, which last until it
        # is over, or until one of these blocks is rolled back.
        self.acquired: dict[str, list[Any]] = {}
        self.released: dict[str, list[Any]] = {}
        # Tokens whose holds may last although no handle has them.
        self.kept: set[str] = set()
        # Tokens whose holds may have ended without the knowledge of a handle: released by force, or
        # by another handle while this one got its turn. A renewal tells. And those that several
        # handles have, each of which may end the hold.
        self.forced: set[str] = set()
        self.given: set[str] = set()
        self.tokens: dict[str, set[str]] = {name: set() for name in NAMES}
        self.fences = dict.fromkeys(NAMES, 0)

    def teardown(self) -> None:
        if not hasattr(self, "settings"):
            return
        try:
            while self.blocks:
                self.end_block(commit=True)
            wait_until(self.release_everything)
            wait_until(lambda: not registry.attempts)
        finally:
            self.thread.shutdown()
            self.waiting.shutdown()
            self.backend.close()
            self.settings.disable()

    def release_everything(self) -> bool:
        """Release what is held; return whether nothing is, and no attempt waits any more."""
        self.settle()
        for part in [part for handle in self.handles for part in parts_of(handle)]:
            if part.held:
                self.note_kept(part)
                with suppress(LockLost):
                    part.release()
        for name in NAMES:
            for hold in self.backend.inspect(name)[0]:
                if hold.token in self.kept:
                    lock(name, token=hold.token, using=self.using).release()
        return not self.waits and not any(self.there(name) for name in NAMES)

    def there(self, name: str) -> set[str]:
        return {hold.token for hold in self.backend.inspect(name)[0]}

    def note_released(self, handle: Any, *, elsewhere: bool = False) -> None:
        """Note what the transaction keeps. Another thread does not have it open."""
        for token in tokens_of(handle):
            acquired = self.acquired.get(token)
            if self.blocks and (acquired or not elsewhere):
                self.released[token] = acquired or self.blocks[:1]

    def note_kept(self, handle: Any) -> None:
        self.kept |= {part.token for part in parts_of(handle) if part._terms.min_hold}

    @contextmanager
    def losses(self, handle: Any, *, was_held: bool) -> Iterator[None]:
        """Raise the error for a hold that was held, unless it was released by force."""
        before = tokens_of(handle)
        try:
            yield
        except LockError as error:
            is_shared = "other handles" in str(error)
            if was_held and not (is_shared or before & self.forced):
                raise

    def settle(self) -> None:
        """Take note of the attempts that are no longer waiting."""
        for handle, attempt in [one for one in self.waits if one[1].done()]:
            self.waits.remove((handle, attempt))
            try:
                acquired = attempt.result()
            except LockError:
                pass  # it holds a part of several already, or was refused for its looser limit
            else:
                assert acquired, "no wait is over before it is granted"
            self.handles.append(handle)

    def pick(self, number: int, *, held: bool | None = None) -> Any:
        """Return a handle that no attempt waits with, if possible one that is held, or is not."""
        self.settle()
        found = [one for one in self.handles if held in (None, one.held)] or self.handles
        return found[-1 - number % len(found)] if found else None

    def is_asked_for(self, handle: Any) -> bool:
        """Whether an attempt waits with its token: both would have one place in the queue."""
        return any(tokens_of(handle) & tokens_of(one) for one, _ in self.waits)

    def do(self, way: str, handle: Any, verb: str, *args: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LockMisuse)
            if way == "call":
                return getattr(handle, verb)(*args)
            if way == "thread":
                return self.thread.submit(getattr(handle, verb), *args).result()
            return async_to_sync(getattr(handle, f"a{verb}"))(*args)

    def end_block(self, *, commit: bool) -> None:
        """Leave the innermost ``atomic()``."""
        fault, block = None if commit else Undo(), self.blocks.pop()
        for tied in (self.acquired, self.released):
            for token, blocks in [*tied.items()]:
                if not self.blocks or (block in blocks and not commit):
                    del tied[token]
        block.__exit__(fault and type(fault), fault, None)
