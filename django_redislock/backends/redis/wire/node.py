"""A server address, with the connections of this process to it and their state."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from os import getpid
from threading import get_ident
from typing import Any

from redis.exceptions import AuthenticationError, ReadOnlyError, RedisError

from ....clock import monotonic
from ....process import ServiceThread, process
from ....queues import take_within
from ..breaker import ignore
from ..commands import pack
from ..errors import NotAsked, is_worth_a_retry, marked
from ..sources.source import Source
from .async_wire import AsyncWire
from .links import Link
from .replies import Replies

__all__ = ["AT_ONCE", "Node"]

# A burst of threads queues here for a moment instead of opening a connection each.
AT_ONCE = 32

# No command is sent if less time (seconds) than this is left for the answer.
LEAST = 0.01

# A caller that waits for a connection looks again this often (seconds): an interrupted caller may
# not have rung, and no thread of ours may be running to mend that. A thousand threads may wait.
LOOK_AGAIN = 1.0

# A link was lost by an interruption if it has been out this much longer (seconds) than its time-out
# and was missed by this many checks. The checks are counted in case the process was suspended.
LOST_AFTER = 2.0
MISSED = 4

PING = pack("PING")

# Faster than Replies(...): enters no Python function.
_replies = partial(tuple.__new__, Replies)


class Node:
    """Sends commands for all threads of the process. Every command is safe to send twice.

    The free list is itself the bound: there are ``AT_ONCE`` links, and a caller takes its link
    from there. An exception may come between any two steps of a caller. At worst its link is lost,
    and ``mend`` replaces it. Two callers never have the same link.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.where, self.at = source.where, source.at
        self._timeout = source.timeout
        self.breaker = source.breaker
        self._failures = self.breaker.failures
        # Called with the node when its server answers again, after each failed probe, and when an
        # answer has not come in time.
        self.on_back: Callable[[Node], object] = ignore
        self.on_absent: Callable[[Node], object] = ignore
        self.on_late: Callable[[Node], object] = ignore
        self.async_wire = AsyncWire(source)
        self.aexchange = self.async_wire.aexchange
        self._begin()
        self.breaker.add(self)

    def _begin(self) -> None:
        self._links = dict.fromkeys(Link(self.source) for _ in range(AT_ONCE))
        self._free = deque(self._links)
        # The bells of the callers that wait for a link, in order of arrival.
        self._line: deque[queue.SimpleQueue[None]] = deque()
        # For each link that is out: when its last exchange began, when the link was first missed
        # in that exchange, and how often.
        self._missed: dict[Link, tuple[float, float, int]] = {}

    def exchange(
        self,
        commands: Sequence[bytes],
        within: float | None = None,
        *,
        urgent: bool = False,
        claim: bool = False,
    ) -> Replies:
        """Send commands in one go; return their replies.

        ``claim``: the last one grants a lock, which makes a difference only to ``ReplicatedNode``.

        Raises ``redis.exceptions.TimeoutError`` if the replies take longer than ``within`` seconds
        or the connection's time-out; ``NotAsked`` if no connection is free in that time;
        ``ServerAway`` at once if the server is known to be away, unless they are ``urgent``.
        """
        if getpid() != process.pid:
            process.look()
        failures = self._failures
        if failures and not urgent:
            self.breaker.refuse()
        limit = self._timeout if within is None or within > self._timeout else within
        free = self._free
        try:
            link = None if self._line else free.pop()
        except IndexError:
            link = None
        if link is None:
            # A burst of callers is not the server's fault: wait even beyond its time-out.
            deadline = monotonic() + (limit if within is None else within)
            link = self._wait_for_link(deadline)
            limit = max(LEAST, min(limit, deadline - monotonic()))
            commands = self._in_less_time(commands, limit)
        try:
            result: Replies = _replies((link.exchange(commands, limit), False))
        except RedisError as error:
            result = self._after_error(error, link, commands, limit)
        finally:
            # Give the link back once, whatever interrupts this: twice, and it would have two users.
            if link in self._links:
                free.append(link)
                if self._line:
                    self._ring()
            else:
                link.close()
        if failures:
            self.breaker.answered()
        return result

    def _in_less_time(self, commands: Sequence[bytes], limit: float) -> Sequence[bytes]:
        """What to send instead when the wait for a connection has left ``limit`` seconds."""
        return commands

    def ping(self, within: float) -> None:
        """Return when the server has answered, on a new connection. Raises ``RedisError``."""
        link = Link(self.source)
        try:
            link.exchange((PING,), within)
        finally:
            link.close()

    def _after_error(
        self, error: RedisError, link: Link, commands: Sequence[bytes], limit: float
    ) -> Replies:
        """Send the commands again if that may help. Raises the last error."""
        if isinstance(error, ReadOnlyError):
            self.source.note_demotion()
        began, unsent = link.used_at, link.is_opening
        left = began + limit - monotonic()
        try:
            # The server has closed an old connection, e.g. because the credentials have changed: a
            # new one has the present ones. But a new one that was refused is refused again.
            is_refused = isinstance(error, AuthenticationError) and link.is_fresh
            if left <= 0 or is_refused or not is_worth_a_retry(error):
                raise error
            return Replies(self._exchange_again(link, commands, left), not unsent)
        except RedisError as last:
            took = monotonic() - began
            self.breaker.failed(last, took, self._timeout, fresh=link.is_fresh)
            # Instead of a link that was retired, another one may have sent them.
            unsent = unsent and link.is_opening and not link.retired
            marked(last, sent=not unsent)
            raise

    def _exchange_again(self, link: Link, commands: Sequence[bytes], left: float) -> list[Any]:
        if not link.retired:
            return link.exchange(commands, left)
        other = Link(self.source)
        try:
            return other.exchange(commands, left)
        finally:
            other.close()

    def _wait_for_link(self, deadline: float) -> Link:
        """Return a link as soon as it is the caller's turn to have one.

        Raises ``NotAsked``, and ``ServerAway`` if the server is found to be away before that.
        """
        free, line = self._free, self._line
        if get_ident() in ServiceThread.own:
            with suppress(IndexError):
                return free.pop()
            return Link(self.source)  # our own threads do not wait; it serves this exchange only
        # Made when it is needed: gevent may replace the module after a fork.
        bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        line.append(bell)
        try:
            rung = len(free) >= len(line)
            while True:
                left = deadline - monotonic() - LEAST
                if left <= 0:
                    raise NotAsked(
                        f"all {AT_ONCE} connections of this process to it were in use until the "
                        "time was over"
                    )
                if self._failures:
                    self.breaker.refuse()
                if rung:
                    with suppress(IndexError):
                        return free.pop()
                    if bell not in line:
                        line.appendleft(bell)
                rung = True
                with suppress(queue.Empty):
                    take_within(bell, min(left, LOOK_AGAIN))
        finally:
            with suppress(ValueError):
                line.remove(bell)
            self._ring()

    def _ring(self) -> None:
        """Notify the first caller in line that a link is free."""
        if self._free:
            with suppress(IndexError):  # no caller is waiting any more
                self._line.popleft().put(None)

    def node_of(self, bucket: int) -> Hashable:
        """Return the same value for all buckets: this node has them all."""
        return None

    def mend(self) -> None:
        """Replace the links that interrupted callers have lost, and ring in their place.

        One thread of our own calls this about twice a second while locks are in use.
        """
        self._ring()
        now = monotonic()
        free = dict.fromkeys(list(self._free))
        for link in list(self._links):
            if link in free:
                self._missed.pop(link, None)
                continue
            used_at, since, times = self._missed.get(link, (link.used_at, now, 0))
            if used_at != link.used_at:
                used_at, since, times = link.used_at, now, 0
            self._missed[link] = used_at, since, times + 1
            if times + 1 >= MISSED and now - since > self._timeout + LOST_AFTER:
                self._replace(link)

    def _replace(self, link: Link) -> None:
        link.retire()
        self._missed.pop(link, None)
        self._links.pop(link, None)
        with suppress(ValueError):  # it was returned just now
            self._free.remove(link)
        new = Link(self.source)
        self._links[new] = None
        self._free.appendleft(new)
        self._ring()

    def close(self) -> None:
        """Close the connections of coroutines, and those of threads that are not in use.

        The failures of the server are forgotten, which ends its probe.
        """
        self.breaker.failures.clear()
        self.async_wire.close()
        for _ in range(len(self._free)):
            with suppress(IndexError):
                link = self._free.pop()
                link.close()
                self._free.appendleft(link)

    def after_fork(self) -> None:
        """Leave all connections to the parent, and close the inherited sockets."""
        for link in self._links:
            # None of the parent's threads, which may have been using the link, runs here.
            link.close()
        self.async_wire.forget()
        self.breaker.reset()
        self._begin()
