"""TCP proxy between client and server that fails on demand, in an exact way.

    with Proxy(server.url) as proxy:
        trigger = proxy.drop_next_reply(b"EVALSHA")
        ...                          # the server runs the command, the client sees a reset
        assert trigger.fired

It understands enough RESP to see each command. Nothing in it depends on speed.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django_redislock.testing.servers import HOST, free_port
from tests.support.link import Link, Trigger
from tests.support.processes import WITHIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tests.support.resp import Command

BIND_ATTEMPTS = 20


class Proxy:
    """Listens on a port of 127.0.0.1 and passes everything on to the server at `upstream`.

    `commands` are all that clients have sent since the start or `forget()`, `opened` counts
    their connections.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or HOST, parts.port or 6379)
        self._credentials = parts.netloc.rpartition("@")[0]
        self.port = 0
        self.commands: list[Command] = []
        self.opened = 0
        self.delay_seconds = 0.0
        self._lock = threading.RLock()
        self._links: set[Link] = set()
        self._triggers: list[Trigger] = []
        self._passing = threading.Event()
        self._passing.set()
        self.swallowing = self.deaf = False
        self.piece = 0
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Proxy:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address to give to the client."""
        credentials = f"{self._credentials}@" if self._credentials else ""
        return f"redis://{credentials}{HOST}:{self.port}/0"

    def start(self) -> Proxy:
        """Listen, on a free port."""
        for attempt in range(BIND_ATTEMPTS):
            self.port = free_port()
            try:
                self.accept()
                break
            except OSError:
                if attempt == BIND_ATTEMPTS - 1:
                    raise
        return self

    def stop(self) -> None:
        """Close all connections, and wait for the proxy's threads."""
        self.refuse()
        self.pass_through()
        self.cut()
        for thread in self._threads:
            thread.join(WITHIN)

    def drop_next_reply(self, matching: bytes | None = None) -> Trigger:
        """Let the server run the next matching command, then close the client's connection.

        The client receives neither its reply nor those of other commands in the same pipeline.
        `matching` is part of the command's name or of an argument (its Lua script, a key); None
        matches any command.
        """
        return self._arm(Trigger(matching, forward=True))

    def drop_next_request(self, matching: bytes | None = None) -> Trigger:
        """Close the client's connection when it sends the next matching command, unexecuted."""
        return self._arm(Trigger(matching, forward=False))

    def black_hole(self) -> None:
        """Swallow the server's answers, but leave all connections open.

        A connection of which bytes were swallowed never delivers anything again.
        """
        self.swallowing = True

    def swallow_requests(self) -> None:
        """Swallow the clients' requests, too, so that the server does not see them."""
        self.swallowing = self.deaf = True

    def split(self, size: int) -> None:
        """Pass answers on in pieces of `size` bytes."""
        self.piece = size

    def hold(self) -> None:
        """Hold back the server's answers until `pass_through()`."""
        self._passing.clear()

    def delay(self, seconds: float) -> None:
        """Delay each piece of an answer by this many seconds."""
        self.delay_seconds = seconds

    def pass_through(self) -> None:
        """End `black_hole()`, `swallow_requests()`, `split()`, `hold()` and `delay()`."""
        self.swallowing = self.deaf = False
        self.piece = 0
        self.delay_seconds = 0.0
        self._passing.set()

    def cut(self) -> int:
        """Close all connections, and return how many there were."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.close()
        return len(links)

    def refuse(self) -> None:
        """Refuse new connections; open connections stay open."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # A close alone would not wake the thread that waits in accept().
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            # If a client was just being accepted, its connection exists when this returns.
            self._acceptor.join(WITHIN)

    def accept(self) -> None:
        """Accept new connections again, on the same port."""
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port), backlog=512)
            self._acceptor = self._run(self._accept_all, self._listener)

    def forget(self) -> None:
        """Reset the counts."""
        with self._lock:
            self.commands.clear()
            self.opened = 0

    def count(self, name: str | None = None) -> int:
        """Return how many commands of this name, or of any name, have been sent."""
        with self._lock:
            return sum(name in (None, command.name) for command in self.commands)

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._links)

    def _arm(self, trigger: Trigger) -> Trigger:
        with self._lock:
            self._triggers.append(trigger)
        return trigger

    def _run(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True, name="proxy")
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept_all(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                link = Link(self, client, socket.create_connection(self.upstream))
            except OSError:
                client.close()
                continue
            with self._lock:
                self.opened += 1
                self._links.add(link)
            self._run(link.carry_requests)
            self._run(link.carry_replies)

    def seen(self, command: Command) -> Trigger | None:
        """Count a command; return the trigger that it sets off, if any."""
        with self._lock:
            self.commands.append(command)
            for trigger in self._triggers:
                if trigger.matching is None or command.contains(trigger.matching):
                    self._triggers.remove(trigger)
                    return trigger
        return None

    def hold_back(self) -> None:
        """Wait while answers are held or delayed."""
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        self._passing.wait()

    def ended(self, link: Link) -> None:
        """Forget a connection."""
        with self._lock:
            self._links.discard(link)
