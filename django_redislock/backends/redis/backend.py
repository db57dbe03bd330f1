"""The lock backend over Redis or Valkey, at the server of a cache or at an address."""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from itertools import islice
from typing import Any

from django.core.checks import CheckMessage

from ...clock import monotonic
from ...conf import LockConfig, text
from ...exceptions import LockError, LockUnavailable
from ..base import (
    GRANT_LEASE,
    HELD_LOOSER,
    TICK,
    Busy,
    Claim,
    Extended,
    Extension,
    Grant,
    Hold,
    Waiting,
    Within,
)
from .commands import call, packed
from .error_texts import naming, unavailable
from .keys import bucket_of
from .records import (
    LOOSER,
    busy,
    extended,
    hold_of,
    inspected,
    ms,
    released,
)
from .scripts import ACQUIRE, CANCEL, EXTEND, FORCE_RELEASE, INSPECT, RELEASE, Script
from .server_checks import check_server
from .sources.source import source_of
from .transport import TransportBackend, make_transport
from .trial_checks import check_trial

__all__ = ["RedisLockBackend"]

logger = logging.getLogger("django_redislock")

# Maximum number of renewals or forced releases sent together. A server reads them in pieces and
# serves other clients in between.
BATCH = 500

# The argument of a claim that does not queue.
NO_STAY = packed(0)


class RedisLockBackend(TransportBackend):
    """Locks in Redis: each verb is one Lua script over the keys of one name.

    ``grant_lease`` (seconds) is how long a hand-over is valid until the new holder's process
    confirms it. ``replicas``: how many must acknowledge a grant before it counts. ``connection``
    holds redis-py's own connection arguments for the server at ``LOCATION``.
    """

    def __init__(
        self,
        config: LockConfig,
        *,
        grant_lease: float = GRANT_LEASE,
        metrics: bool = True,
        replicas: int = 0,
        **connection: Any,
    ) -> None:
        super().__init__(config, grant_lease=grant_lease, metrics=metrics)
        self.source = source_of(config, connection, self.option_names())
        self.place = (self.source.place, config.key_prefix)
        self.believes_turns = not replicas
        self._naming = partial(naming, self.source.where, self.source.at)
        self.node, self.wakeups = make_transport(
            self.source,
            self.waiters,
            config,
            replicas,
            grant_lease=self.grant_lease,
            return_turn=self._return_turn,
            on_lost=self._force_released,
        )

    # The verbs.

    def acquire(self, claim: Claim, stay: float = 0.0, within: Within = None) -> Grant | Busy:
        sent_at = monotonic()
        reply, again = self._run(claim.name, self._acquire_command(claim, stay), within, claim=True)
        return self._acquired(claim, stay, sent_at, reply, again)

    async def aacquire(
        self, claim: Claim, stay: float = 0.0, within: Within = None
    ) -> Grant | Busy:
        sent_at = monotonic()
        command = self._acquire_command(claim, stay)
        reply, again = await self._arun(claim.name, command, within, claim=True)
        return self._acquired(claim, stay, sent_at, reply, again)

    def release(self, name: str, token: str, within: Within = None) -> bool:
        reply, again = self._run(name, self._release_command(name, token), within)
        if reply == 1:  # released, and no waiter of this process has the turn
            return True
        ended, undelivered = self._released(name, reply, again)
        for one in undelivered:
            self._return_turn(name, one)
        return ended

    async def arelease(self, name: str, token: str, within: Within = None) -> bool:
        reply, again = await self._arun(name, self._release_command(name, token), within)
        if reply == 1:  # as in release()
            return True
        ended, undelivered = self._released(name, reply, again)
        for one in undelivered:
            with suppress(LockUnavailable):  # the turn then expires
                await self._arun(name, self._cancel_command(name, one, keep_hold=True))
        return ended

    def extend(self, extension: Extension) -> float | None:
        sent_at = monotonic()
        reply, _ = self._run(extension.name, self._extend_command(extension))
        return extended(sent_at, reply)

    async def aextend(self, extension: Extension) -> float | None:
        sent_at = monotonic()
        reply, _ = await self._arun(extension.name, self._extend_command(extension))
        return extended(sent_at, reply)

    def extend_all(self, extensions: Sequence[Extension]) -> Sequence[Extended]:
        results: list[Extended] = []
        for start in range(0, len(extensions), BATCH):
            sent_at = monotonic()
            some = extensions[start : start + BATCH]
            commands = [*map(self._extend_command, some)]
            # Renewals, and commands sent along with them, are never refused.
            urgent = any(one.renewal for one in some)
            try:
                with self._naming(some[0].name):
                    replies, _ = self.node.exchange(commands, urgent=urgent)
            except LockUnavailable as error:
                results += [error] * len(some)
            else:
                results += map(partial(self._extended_as, sent_at), some, replies)
        return results

    def cancel(self, name: str, token: str, late: float = 0.0, *, keep_hold: bool = False) -> None:
        self._run(name, self._cancel_command(name, token, late, keep_hold=keep_hold))

    def force_release(self, name: str, token: str) -> bool:
        return bool(self._run(name, self._call(FORCE_RELEASE, name, token))[0])

    def force_release_all(self, holds: Iterable[tuple[str, str]]) -> Iterator[bool]:
        for _, reply in self._run_all(FORCE_RELEASE, holds):
            yield bool(reply)

    def inspect(self, name: str) -> tuple[Sequence[Hold], Sequence[Waiting]]:
        return inspected(name, self._run(name, self._call(INSPECT, text(name, "name"), ""))[0])

    def inspect_all(
        self, names: Sequence[str]
    ) -> Iterator[tuple[Sequence[Hold], Sequence[Waiting]]]:
        for name, reply in self._run_all(INSPECT, ((name, "") for name in names)):
            yield inspected(name, reply)

    async def ainspect(self, name: str) -> tuple[Sequence[Hold], Sequence[Waiting]]:
        reply, _ = await self._arun(name, self._call(INSPECT, text(name, "name"), ""))
        return inspected(name, reply)

    def node_of(self, name: str) -> Hashable:
        return self.node.node_of(bucket_of(name))

    # Waiting.

    def listening(self, name: str) -> bool:
        return self.wakeups.listening(name)

    def listen(self, name: str, timeout: float) -> None:
        with self._naming(name):
            self.wakeups.listen(name, timeout)

    async def alisten(self, name: str, timeout: float) -> None:
        with self._naming(name):
            await self.wakeups.alisten(name, timeout)

    def _return_turn(self, name: str, token: str) -> None:
        # If the waiter asked again and was granted the lock by that reply, its hold must stay.
        try:
            self.cancel(name, token, keep_hold=True)
        except LockUnavailable:
            logger.debug("Could not give back a turn of %r. It expires by itself.", name)

    # Lifecycle.

    def check(self, *, deploy: bool = False) -> Sequence[CheckMessage]:
        if not deploy:
            return []
        found = check_server(self.config, self.source)
        return [*found, *check_trial(self, self.source, found)]

    # Building commands and reading replies.

    def _run_all(
        self, script: Script, holds: Iterable[tuple[str, str]]
    ) -> Iterator[tuple[str, Any]]:
        """Run a script for each name and token, in batches. Yield each name and its reply."""
        holds = iter(holds)
        while some := list(islice(holds, BATCH)):
            with self._naming(some[0][0]):
                replies, _ = self.node.exchange([self._call(script, *one) for one in some])
            for (name, _), reply in zip(some, replies, strict=True):
                if isinstance(reply, Exception):
                    raise unavailable(self.source.where, self.source.at, name, reply) from reply
                yield name, reply

    def _call(self, script: Script, name: str, token: str, *args: int) -> bytes:
        return call(script, self.config.key_prefix, name, token, tuple(map(packed, args)))

    def _acquire_command(self, claim: Claim, stay: float) -> bytes:
        lease, terms = _terms(claim.limit, claim.lease, self.grant_lease, self.wakeups.process)
        args = lease, packed(ms(stay)) if stay else NO_STAY, packed(terms + claim.holder)
        return call(ACQUIRE, self.config.key_prefix, claim.name, claim.token, args)

    def _acquired(
        self, claim: Claim, stay: float, sent_at: float, reply: Any, again: bool
    ) -> Grant | Busy:
        if again:
            claim.unanswered = True
        if reply.isdigit():
            if stay:
                # The server sends no notice when a lease expires, neither this one nor that of
                # another hold of a semaphore, which the reply does not mention.
                self.wakeups.watch(claim.name, sent_at + min(claim.lease, self.grant_lease))
            return Grant(int(reply), sent_at + claim.lease - TICK)
        if reply == LOOSER:
            raise LockError.of(claim.name, HELD_LOOSER)
        left, now, position, record = busy(reply)
        clock = sent_at - (now + 1) / 1000
        retry_in = max(0.0, left / 1000)
        if stay:
            # One waiter polls on behalf of this process. It polls often because the waiter that
            # gets a turn may be frozen, and only the clock shows that a hand-over has failed.
            look_at = monotonic() + min(retry_in, self.grant_lease)
            self.wakeups.watch(claim.name, look_at, clock)
        return Busy(retry_in, math.inf, clock, position, partial(hold_of, record, now))

    def _release_command(self, name: str, token: str) -> bytes:
        args = (packed(self.wakeups.process),)
        return call(RELEASE, self.config.key_prefix, name, token, args)

    def _released(self, name: str, reply: Any, sent_again: bool) -> tuple[bool, Sequence[str]]:
        """Whether it was released, and the tokens with a turn whose waiters have left."""
        ended, turns = released(reply)
        undelivered = [token for token, turn in turns if not self.waiters.notify(name, token, turn)]
        if not ended and sent_again:
            # The first command may have released it, and its lost reply may have carried a turn.
            # We cannot know which waiter has that turn, so all are nudged.
            self.waiters.nudge_all(lambda waited: waited == name)
        elif not ended:
            # The lease may have expired because this process is overloaded. Nudge one waiter only;
            # there may be a thousand.
            self.waiters.nudge(name)
        # If the first reply was lost, that command most likely released it: no other process has
        # the token. The handle's own clock decides whether the lease had expired.
        return ended or sent_again, undelivered

    def _cancel_command(
        self, name: str, token: str, late: float = 0.0, *, keep_hold: bool = False
    ) -> bytes:
        return self._call(CANCEL, name, token, ms(late), int(keep_hold))

    def _extended_as(self, sent_at: float, one: Extension, reply: Any) -> Extended:
        if isinstance(reply, Exception):
            return unavailable(self.source.where, self.source.at, one.name, reply)
        return extended(sent_at, reply)

    def _extend_command(self, one: Extension) -> bytes:
        args = ms(one.lease), int(one.renewal), int(one.detached)
        return self._call(EXTEND, one.name, one.token, *args)


@lru_cache(maxsize=1024)
def _terms(limit: int, lease: float, grant_lease: float, process: str) -> tuple[bytes, str]:
    """The lease of a claim, packed, and the beginning of its terms, which the holder completes."""
    grant = min(lease, grant_lease)
    return packed(ms(lease)), f"{limit} {ms(lease)} {ms(grant)} {process} "
