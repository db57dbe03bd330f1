"""Circuit breaker of a server: while the server is away, only a probe waits for it."""

from __future__ import annotations

import logging
import time
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from threading import get_ident
from typing import Any, Protocol

from ...clock import monotonic
from ...process import NoThread, ServiceThread
from .error_texts import happened
from .errors import ServerAway, copy_of, is_absence

__all__ = ["PROBE_WITHIN", "Breaker", "ProbedNode", "breaker_of", "ignore"]

logger = logging.getLogger("django_redislock")

# After this many failures in a row a server counts as away.
OPENS_AT = 2
# A failure counts if it took this share of a second, or of the connection's time-out if that is
# shorter. A refused connection costs no time, so it does not count.
COUNTS_FROM = 0.9

# How long (seconds) a probe may take, and the pause after an unanswered probe.
PROBE_WITHIN = 1.0
PROBE_EVERY = 0.25
# Probing ends when no caller has wanted the server for this long (seconds).
LINGER = 30.0


class ProbedNode(Protocol):
    """A node at the address of a breaker, which can ping the server and has callbacks."""

    where: str
    at: str
    on_back: Callable[[Any], object]
    on_absent: Callable[[Any], object]
    on_late: Callable[[Any], object]

    def ping(self, within: float) -> None:
        """Return when the server has answered. Raises ``RedisError``."""


class Breaker:
    """Health of one address, shared by all nodes of this process that lead there.

    The breaker is closed at first. One failure on a fresh connection opens it, or two in a row on
    others, if they cost time: a time-out does, a refused connection does not. While it is open,
    requests are refused at once, and a thread of ours probes the server. Any answer closes it, even
    to a request that is sent regardless, such as a renewal.

    ``failures`` is all of its state: empty while all is well, full while the breaker is open. Each
    step is one atomic operation, so any thread may take it, and be interrupted.
    """

    def __init__(self) -> None:
        self.failures: deque[Exception] = deque(maxlen=OPENS_AT)
        self._nodes: dict[weakref.ref[ProbedNode], None] = {}
        # When a caller last wanted the server, when the breaker opened, and when an answer closed
        # it.
        self._wanted_at = self._opened_at = self._answered_at = 0.0
        self._thread = ServiceThread("django_redislock-probe", self._serve, self.is_open)

    def reset(self) -> None:
        """Forget all failures and the thread, in a forked child."""
        self.failures.clear()
        self._thread.reset()

    def add(self, node: ProbedNode) -> None:
        """Allow probing by this node too, and notify it when the server is back."""
        nodes = self._nodes
        nodes[weakref.ref(node, lambda gone: nodes.pop(gone, None))] = None

    def is_open(self) -> bool:
        """Whether the server is away."""
        return len(self.failures) == OPENS_AT

    def refuse(self) -> None:
        """Raise ``ServerAway`` if the server is away. It never is without ``failures``."""
        failures = list(self.failures)
        if len(failures) < OPENS_AT:
            return
        if get_ident() not in ServiceThread.own:
            self._wanted_at = monotonic()
        try:
            self._thread.ensure()
        except NoThread:
            return  # without a probe, only requests can find out that the server is back
        raise ServerAway(failures[-1])

    def failed(self, error: Exception, took: float, timeout: float, *, fresh: bool) -> None:
        """Note that an exchange failed after ``took`` seconds, on a ``fresh`` connection or not.

        ``timeout`` is the longest time (seconds) that the connection gives to the server.
        """
        if took < COUNTS_FROM * min(timeout, 1.0) or not is_absence(error) or self.is_open():
            return
        self._wanted_at = now = monotonic()
        # A copy, since the traceback would keep the caller's variables alive.
        self.failures.extend([copy_of(error)] * (OPENS_AT if fresh else 1))
        for node in self._living():
            node.on_late(node)
        if self.is_open():
            self._opened_at = now
            with suppress(NoThread):
                self._thread.ensure()

    def answered(self) -> None:
        """Note that the server has answered."""
        if self.is_open():
            self._answered_at = monotonic()
            self.failures.clear()
            self._tell_back()
        else:
            self.failures.clear()

    # The thread that probes while the breaker is open.

    def _serve(self) -> None:
        failures = list(self.failures)
        for node in self._living()[:1]:
            what = happened(node.at, failures[-1]).rstrip(".") if failures else "did not answer"
            logger.warning(
                "Redis (%s) %s. Requests are refused until it answers.", node.where, what
            )
        while self.is_open():
            nodes = self._living()
            if not nodes or monotonic() - self._wanted_at > LINGER:
                self.failures.clear()  # the next request finds out
            elif self._is_answered(nodes[0]):
                self._answered_at = monotonic()
                self.failures.clear()
            else:
                for node in nodes:
                    node.on_absent(node)
                time.sleep(PROBE_EVERY)
        # Even if a caller has closed the breaker, since it may have been interrupted.
        if (away := self._answered_at - self._opened_at) > 0:
            for node in self._living()[:1]:
                logger.info("Redis (%s) is back after %.1f s.", node.where, away)
        self._tell_back()

    def _is_answered(self, node: ProbedNode) -> bool:
        try:
            node.ping(PROBE_WITHIN)
        except Exception as error:  # noqa: BLE001 - a connection_class may raise anything
            return not is_absence(error)
        return True

    def _tell_back(self) -> None:
        for node in self._living():
            node.on_back(node)

    def _living(self) -> list[ProbedNode]:
        return [node for ref in list(self._nodes) if (node := ref()) is not None]


_breakers: weakref.WeakValueDictionary[Hashable, Breaker] = weakref.WeakValueDictionary()


def breaker_of(server: Hashable) -> Breaker:
    """Return the only breaker of a server in this process, shared by all aliases."""
    return _breakers.get(server) or _breakers.setdefault(server, Breaker())


def ignore(_: object) -> None:
    """Do nothing. The default callback."""
