"""The one connection on which this process hears of hand-overs, for all who wait in it.

A thread reads it while somebody waits. It has a channel for each bucket in which the process has
waited, so that a script may publish from the slot of the lock.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError, ResponseError

from ..waiters import Turn, Waiters
from .records import text
from .sources import Source

__all__ = ["Wakeups"]

logger = logging.getLogger("django_redislock")

# The thread ends when nobody has waited for so long.
LINGER = 5.0
# A link that a firewall dropped in silence is found out by a PING that gets no answer.
PING_AFTER = 15.0
PONG_WITHIN = 5.0
RECONNECT_AFTER = (0.05, 0.1, 0.2, 0.5, 1.0)
# A waiter that was asked to look again and has not done so may stand still; then another is asked.
ASK_AGAIN = 1.0


class Wakeups:
    """Delivers turns to ``waiters``; a turn that nobody waits for goes to ``return_turn``.

    ``on_lost(name, token)`` is called when a hold of this process was released by force.
    """

    def __init__(
        self,
        source: Source,
        waiters: Waiters,
        *,
        prefix: str,
        return_turn: Callable[[str, str], None],
        on_lost: Callable[[str, str], None],
    ) -> None:
        self._source = source
        self._waiters = waiters
        self._prefix = prefix
        self._return_turn = return_turn
        self._on_lost = on_lost
        self._connection: Any = None
        self.forget()

    def forget(self) -> None:
        """Be another process, with nobody listening: for a start, and for a forked child."""
        self._id = os.urandom(8).hex()
        if self._connection is not None:
            # As long as a child keeps the socket open, its parent seems to listen, even when dead.
            self._connection.disconnect()
            self._connection = None
        self._sharded = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._closing = False
        self._wake_at = 0.0
        self._looks: dict[str, float] = {}
        # A tag is wanted until the server has confirmed its channel, then ready while the link
        # holds. After that whoever waits wants it again.
        self._wanted: dict[str, Future[None]] = {}
        self._ready: set[str] = set()

    @property
    def process(self) -> str:
        """How a script reaches this process."""
        return ("s" if self._sharded else "p") + self._id

    def listening(self, tag: str) -> bool:
        return tag in self._ready

    def listen(self, tag: str) -> Future[None]:
        """Done when hand-overs in the bucket of this tag reach the process."""
        with self._lock:
            if tag in self._ready:
                ready: Future[None] = Future()
                ready.set_result(None)
                return ready
            future = self._wanted.setdefault(tag, Future())
            if self._thread is None:
                self._start()
            else:
                self._ring()
        return future

    def watch(self, name: str, look_at: float) -> None:
        """Ask one waiter of the name to look again at that time (monotonic)."""
        with self._lock:
            self._looks[name] = look_at
            if look_at < self._wake_at:
                self._ring()

    def close(self) -> None:
        """End the thread and its connection."""
        with self._lock:
            thread, self._closing = self._thread, True
            self._ring()
        if thread is not None and thread is not threading.current_thread():
            thread.join(PONG_WITHIN)

    def _start(self) -> None:
        self._closing = False
        bell = socket.socketpair()
        for end in bell:
            end.setblocking(False)
        thread = threading.Thread(
            target=self._run, args=(bell[0],), name="django_redislock-wakeups", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            # Where no thread can be started, the next one to ask tries again.
            for end in bell:
                end.close()
            raise
        self._bell, self._thread = bell, thread

    def _ring(self) -> None:
        if self._bell is not None:
            with suppress(BlockingIOError):  # then it rings already
                self._bell[1].send(b"!")

    # All below runs in the thread.

    def _run(self, bell: socket.socket) -> None:
        failures = 0
        while not self._ended_idle():
            connection = self._connection = self._new_connection()
            try:
                connection.connect()
                self._choose_channels(connection)
                failures = 0
                self._serve(connection, bell)
            except Exception as error:
                if not isinstance(error, (RedisError, OSError)):
                    logger.exception("The wake-up connection failed, and is made anew.")
                self._link_broke(error)
                with selectors.DefaultSelector() as selector:
                    selector.register(bell, selectors.EVENT_READ)
                    selector.select(RECONNECT_AFTER[min(failures, len(RECONNECT_AFTER) - 1)])
                    _drain(bell)
                failures += 1
            finally:
                connection.disconnect()

    def _ended_idle(self) -> bool:
        """End the thread if nobody needs it. Under the lock: nobody can come in between."""
        with self._lock:
            if not self._closing and (self._waiters or self._wanted):
                return False
            self._thread = None
            for end in self._bell or ():
                end.close()
            self._bell = None
            self._refuse_wanted(ConnectionError("the lock backend was closed"))
            self._ready.clear()
            self._looks.clear()
        # The backend was closed: who waits yet looks again, and so opens it again.
        self._waiters.nudge_all()
        return True

    def _link_broke(self, error: Exception) -> None:
        with self._lock:
            self._refuse_wanted(error)
            was_ready = bool(self._ready)
            self._ready.clear()
        if was_ready:
            # What is published now passes us by: all look again, as soon as they can listen.
            self._waiters.nudge_all()

    def _refuse_wanted(self, error: Exception) -> None:
        for future in self._wanted.values():
            future.set_exception(error)
        self._wanted.clear()

    def _new_connection(self) -> Any:
        # RESP2 delivers messages as replies.
        return self._source.connection(protocol=2)

    def _choose_channels(self, connection: Any) -> None:
        # A sharded message stays within its slot's node of a Cluster; servers before 7 have none.
        connection.send_command("SSUBSCRIBE", self._channel(self._prefix), check_health=False)
        try:
            connection.read_response()
            self._sharded = True
        except ResponseError:
            self._sharded = False

    def _channel(self, tag: str) -> str:
        return f"{tag}:wake:{self._id}"

    def _serve(self, connection: Any, bell: socket.socket) -> None:
        """Deliver messages until nobody has waited for a while. Raises when the link breaks."""
        asked: set[str] = set()
        heard_at = needed_at = time.monotonic()
        pinged = False
        with selectors.DefaultSelector() as selector:
            selector.register(bell, selectors.EVENT_READ)
            selector.register(connection._sock, selectors.EVENT_READ)
            while True:
                self._subscribe_wanted(connection, asked)
                now = time.monotonic()
                if self._waiters or self._wanted:
                    needed_at = now
                if self._closing or now > needed_at + LINGER:
                    return
                if now > heard_at + PING_AFTER + PONG_WITHIN:
                    raise OSError("the server did not answer a PING")
                if now > heard_at + PING_AFTER and not pinged:
                    connection.send_command("PING", check_health=False)
                    pinged = True
                ping_at = heard_at + PING_AFTER + (PONG_WITHIN if pinged else 0.0)
                selector.select(self._pause(now, min(needed_at + LINGER, ping_at)))
                _drain(bell)
                while connection.can_read(timeout=0):
                    heard_at, pinged = time.monotonic(), False
                    self._deliver(connection.read_response())
                self._ask_to_look(time.monotonic())

    def _pause(self, now: float, wake_at: float) -> float:
        with self._lock:
            self._wake_at = min([wake_at, *self._looks.values()])
            # A millisecond more, since a selector rounds down and would spin for the rest.
            return max(0.0, self._wake_at - now) + 0.001

    def _subscribe_wanted(self, connection: Any, asked: set[str]) -> None:
        with self._lock:
            tags = [tag for tag in self._wanted if tag not in asked]
        for tag in tags:
            verb = "SSUBSCRIBE" if self._sharded else "SUBSCRIBE"
            connection.send_command(verb, self._channel(tag), check_health=False)
            asked.add(tag)

    def _deliver(self, message: Any) -> None:
        # Confirmations carry numbers, a PONG is a plain string in some protocols.
        parts = [text(part) for part in message if isinstance(part, (bytes, str))]
        if parts[0] in {"subscribe", "ssubscribe"}:
            self._subscribed(parts[1].removesuffix(self._channel("")))
        elif parts[0] in {"message", "smessage"}:
            verb, _, details = parts[2].partition(" ")
            if verb == "lost":
                token, name = details.split(" ", 1)
                self._on_lost(name, token)
            elif verb == "turn":
                token, fence, expires, name = details.split(" ", 3)
                if not self._waiters.tell(name, token, Turn(int(fence), int(expires) / 1000)):
                    self._return_turn(name, token)

    def _subscribed(self, tag: str) -> None:
        with self._lock:
            future = self._wanted.pop(tag, None)
            self._ready.add(tag)
        if future is not None:
            future.set_result(None)

    def _ask_to_look(self, now: float) -> None:
        with self._lock:
            due = [name for name, look_at in self._looks.items() if look_at <= now]
            for name in due:
                self._looks[name] = now + ASK_AGAIN
        for name in due:
            if not self._waiters.nudge(name):
                with self._lock:
                    self._looks.pop(name, None)


def _drain(bell: socket.socket) -> None:
    with suppress(BlockingIOError):
        while bell.recv(1024):
            pass
