"""Connection on which this process receives hand-overs, for all of its waiters.

A thread reads it while there are waiters. It has a channel for each bucket in which the process has
waited, so that a script may publish from the slot of the lock.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from ....clock import monotonic
from ....process import ServiceThread
from ...waiters import Turn, Waiters
from ..errors import as_redis_error
from ..keys import BUCKETS, bucket_keys, bucket_of
from ..records import message
from ..sources.source import Source
from .bell import Bell
from .listeners import Listeners
from .looks import Looks
from .subscriber import Subscriber

__all__ = ["Wakeups"]

logger = logging.getLogger("django_redislock")

# The thread ends after this time (seconds) without a waiter; closing waits this long for its end.
LINGER = ENDS_WITHIN = 5.0
# Pauses (seconds) after failures in a row. One that comes later than the longest begins a new row.
RECONNECT_AFTER = (0.05, 0.1, 0.2, 0.5)


class Wakeups:
    """Delivers turns to ``waiters``. A turn for which no waiter is left goes to ``return_turn``.

    ``on_lost(name, token)`` is called when a hold of this process was released by force.

    Callers only record what they want and ring. They change the state that they share with the
    thread by atomic operations, so an interrupted caller leaves nothing that others wait for.
    """

    # The verb of its channels, and their kind in the address of the process: see notify.lua.
    VERB, KIND = "SUBSCRIBE", "p"

    def __init__(
        self,
        source: Source,
        waiters: Waiters,
        *,
        prefix: str,
        grant_lease: float,
        return_turn: Callable[[str, str], None],
        on_lost: Callable[[str, str], None],
        identity: str = "",
    ) -> None:
        self._subscriber = Subscriber(source)
        self._source = source
        # Identifies the process to other processes. If empty, a random one is made.
        self._identity = identity
        self._waiters = waiters
        self._prefix = prefix
        self._grant_lease = grant_lease
        self._return_turn = return_turn
        self._on_lost = on_lost
        self.thread = ServiceThread("django_redislock-wakeups", self._serve, self._has_work)
        self._bell: Bell | None = None
        self.forget()

    def forget(self) -> None:
        """Start as a new process without subscriptions: at first, and in a forked child."""
        # While a child keeps the socket open, its parent seems to listen, even when dead.
        self._subscriber.close()
        if self._bell is not None:
            self._bell.close()
        self._bell = None
        self.thread.reset()
        self._id = self._identity or os.urandom(8).hex()
        # The address under which scripts reach this process.
        self.process = self.KIND + self._id
        # When the server's clock stood at zero (monotonic), as last reported by a caller.
        self.clock = -math.inf
        self._closing = False
        # When the thread wakes up by itself. Until that is decided, every caller rings.
        self._wake_at = math.inf
        self._looks = Looks()
        # The buckets whose messages it receives.
        self.ready: dict[int, None] = {}
        self.listeners = Listeners()
        # The buckets whose channels it has asked the server for on this connection.
        self._asked: set[int] = set()

    def listening(self, name: str) -> bool:
        """Whether hand-overs of the name reach the process."""
        # Checked first: most processes have no waiters at the moment.
        return bool(self.ready) and bucket_of(name) in self.ready

    def listen(self, name: str, timeout: float) -> None:
        """Return when hand-overs of the name reach the process, or after a time-out.

        Raises ``ConnectionError``, ``ServerAway`` at once if the server is known to be away, and
        ``NoThread`` if no thread can be started.
        """
        if (bucket := bucket_of(name)) not in self.ready:
            self._source.breaker.refuse()
            self.listeners.wait(bucket, timeout, self._start)

    async def alisten(self, name: str, timeout: float) -> None:
        """The twin of ``listen``."""
        if (bucket := bucket_of(name)) not in self.ready:
            self._source.breaker.refuse()
            await self.listeners.await_(bucket, timeout, self._start)

    def _start(self) -> None:
        self.thread.ensure()
        self.ring()

    def watch(self, name: str, look_at: float, clock: float | None = None) -> None:
        """Ask one waiter of the name to look again at that time (monotonic).

        ``clock`` is when the server's clock stood at zero, if that is known.
        """
        if clock is not None:
            self.clock = clock
        self._looks[name] = look_at
        if look_at < self._wake_at:
            self.ring()

    def reopen(self) -> None:
        """Connect again: another server may be the primary now, and give the turns."""
        self._subscriber.is_outdated = True
        self.ring()

    def doubt(self) -> None:
        """Find out soon whether the server still answers on this connection."""
        self._subscriber.is_doubted = True
        self.ring()

    def close(self) -> None:
        """Stop the thread and close its connection."""
        bell, self._closing = self._bell, True
        self.ring()
        if bell is not None and not self.thread.is_current:
            # A remaining waiter may start the thread again at once.
            self.thread.wait(ENDS_WITHIN, lambda: self._bell is not bell)

    def ring(self) -> None:
        """Wake the thread, so that it looks at what callers have recorded."""
        if (bell := self._bell) is not None:
            bell.ring()

    # Everything below runs in the thread.

    def _has_work(self) -> bool:
        # Existing waiters have been asked to look again, and will want a channel when they do.
        return bool(self.listeners.wanted)

    def _is_needed(self) -> bool:
        return bool(self._waiters or self.listeners.wanted)

    def _serve(self) -> None:
        self._closing, failures = False, 0
        self._bell = bell = Bell()
        try:
            while not self._closing and self._is_needed():
                opened_at = monotonic()
                try:
                    self._connect()
                    self._receive(bell)
                    return  # a waiter that has come meanwhile starts the thread again
                except Exception as error:
                    if not isinstance(error, (RedisError, OSError)):
                        logger.exception("The wake-up connection failed and is being reopened.")
                    self._link_broke(error)
                    bell.hear_also(None)
                    failures = 1 if monotonic() > opened_at + RECONNECT_AFTER[-1] else failures + 1
                    pause = RECONNECT_AFTER[min(failures, len(RECONNECT_AFTER)) - 1]
                    bell.sleep(pause, lambda: self._closing)
                finally:
                    self._subscriber.close()
        finally:
            bell.close()
            self._end()
            self._bell = None

    def _end(self) -> None:
        self.ready.clear()
        if self._closing:
            self.listeners.answer(ConnectionError("the lock backend was closed"))
        self._looks.clear()
        # Any remaining or new waiter looks again, and thereby starts the thread again.
        self._waiters.nudge_all()

    def _link_broke(self, error: Exception) -> None:
        was_ready = bool(self.ready)
        self.ready.clear()
        self.listeners.answer(error)
        if was_ready:  # messages published from now on are missed
            self._waiters.nudge_all()

    def _connect(self) -> None:
        self._source.breaker.refuse()
        began = monotonic()
        try:
            self._subscriber.open()
            self._asked.clear()
        except (RedisError, OSError) as error:
            met = as_redis_error(error) if isinstance(error, OSError) else error
            self._source.breaker.failed(met, monotonic() - began, self._source.timeout, fresh=True)
            raise
        self._source.breaker.answered()

    def _channel(self, bucket: int) -> str:
        return f"{bucket_keys(self._prefix, bucket).tag}:wake:{self._id}"

    def _bucket(self, channel: bytes) -> int:
        return [*map(self._channel, range(BUCKETS))].index(channel.decode())

    def _receive(self, bell: Bell) -> None:
        """Deliver messages until there was no waiter for a while. Raises when the link breaks."""
        link = self._subscriber
        bell.hear_also(link.sock)
        needed_at = monotonic()
        while True:
            self._subscribe()
            now = monotonic()
            if self._is_needed():
                needed_at = now
            if self._closing or now > needed_at + LINGER:
                return
            by_itself = min(needed_at + LINGER, link.probe(now))
            # A caller that records anything from here on rings.
            self._wake_at = math.inf
            self._wake_at = min(by_itself, now + self._waiters.check_in(), self._looks.earliest())
            if self._deliver_until_woken(bell):
                needed_at = link.received_at
            now = monotonic()
            for name, token in self._waiters.reclaim_turns(now):
                self._return_turn(name, token)
            self._looks.ask(self._waiters, now)

    def _deliver_until_woken(self, bell: Bell) -> bool:
        """Deliver messages until the bell rings, or it is time to wake up by itself.

        A waiter that gets a turn continues only when this thread sleeps again, so sleep at once.
        Return whether there were any messages.
        """
        had_any = False
        while True:
            left = max(0.0, self._wake_at - monotonic())
            rung, has_arrived = bell.wait(left)
            for pushed in self._subscriber.messages() if has_arrived else ():
                self._deliver(pushed)
                had_any = True
            if rung or self._wake_at <= monotonic():
                return had_any

    def _subscribe(self) -> None:
        for bucket in self.listeners.wanted:
            if bucket in self.ready:
                self.listeners.answer(None, bucket)
            elif bucket not in self._asked:
                self._asked.add(bucket)
                self._subscriber.send(self.VERB, self._channel(bucket))

    def _deliver(self, pushed: Any) -> None:
        if isinstance(pushed, Exception):
            raise pushed
        if not isinstance(pushed, list):
            return  # a PONG, which is a plain string in some protocols
        kind, channel, *rest = pushed
        if kind in {b"smessage", b"message"}:
            news = message(rest[0])  # None: a message of a later release
            if news and news.turn:
                self._deliver_turn(news.name, news.token, news.turn)
            elif news:
                self._on_lost(news.name, news.token)
        elif kind in {b"ssubscribe", b"subscribe"}:
            bucket = self._bucket(channel)
            self.ready[bucket] = None
            self.listeners.answer(None, bucket)

    def _deliver_turn(self, name: str, token: str, turn: Turn) -> None:
        if not self._waiters.notify(name, token, turn):
            self._return_turn(name, token)
            return
        # The next waiter looks when this turn should have ended: perhaps no message reports it.
        now = monotonic()
        look_at = max(now, min(self.clock + turn.expires, now + self._grant_lease))
        self._looks[name] = look_at
        self._wake_at = min(self._wake_at, look_at, now + self._waiters.check_in())
