"""Connection through the proxy, and triggers for its faults."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import socket
import threading
from typing import TYPE_CHECKING

from tests.support.processes import WITHIN
from tests.support.resp import take_commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.proxy import Proxy
    from tests.support.resp import Command


@dataclasses.dataclass(eq=False)
class Trigger:
    """A fault that happens once, to the next command that matches."""

    matching: bytes | None
    forward: bool  # whether the server receives the command
    event: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def fired(self) -> bool:
        """Whether the fault has happened."""
        return self.event.is_set()

    def wait(self, within: float = WITHIN) -> None:
        """Wait until the fault has happened. Raises AssertionError after `within` seconds."""
        assert self.event.wait(within), f"no command like {self.matching!r} within {within:g} s"


class Link:
    """A client's connection, and the proxy's own to the server; one thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The server's answer to this shows that it has run all earlier commands.
        self._mark = b"proxy-" + secrets.token_hex(8).encode()
        self._dropping: Trigger | None = None
        # TCP never delivers bytes that follow a gap.
        self._has_gap = self._is_deaf = False
        self._closed = threading.Event()
        self._directions = 2
        self._lock = threading.Lock()

    def carry_requests(self) -> None:
        """Pass on the client's commands, one by one, until either side closes."""
        buffer = b""
        with self._direction():
            while received := self.client.recv(65536):
                commands, buffer = take_commands(buffer + received)
                trigger = self._dropping = self._set_off(commands)
                if trigger is not None and not trigger.forward:
                    break
                self._is_deaf |= self.proxy.deaf
                if self._is_deaf:
                    continue
                self.server.sendall(b"".join(command.raw for command in commands))
                if trigger is not None:
                    mark = (len(self._mark), self._mark)
                    self.server.sendall(b"*2\r\n$4\r\nPING\r\n$%d\r\n%s\r\n" % mark)
                    self._closed.wait()  # the other direction closes it when the mark is back

    def carry_replies(self) -> None:
        """Pass on the server's replies until either side closes."""
        unseen = b""
        with self._direction():
            while received := self.server.recv(65536):
                if self._dropping is not None:
                    unseen += received
                    if self._mark in unseen:
                        break
                    continue
                self.proxy.hold_back()
                self._has_gap |= self.proxy.swallowing
                if not self._has_gap:
                    self._pass_on(received)

    def _pass_on(self, received: bytes) -> None:
        while received:
            size = self.proxy.piece or len(received)
            self.client.sendall(received[:size])
            received = received[size:]

    def close(self) -> None:
        """Close both sides; the threads that read from them end."""
        if self._dropping is not None:
            self._dropping.event.set()  # first, as a client may check as soon as it is closed
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):  # it may be closed already
                side.shutdown(socket.SHUT_RDWR)
        self.proxy.ended(self)
        self._closed.set()

    def _set_off(self, commands: list[Command]) -> Trigger | None:
        fired = [trigger for command in commands if (trigger := self.proxy.seen(command))]
        for trigger in fired[1:]:
            trigger.event.set()  # the drop counts for all of them
        return fired[0] if fired else None

    @contextlib.contextmanager
    def _direction(self) -> Iterator[None]:
        """Close both directions when the first ends; the last one frees the sockets."""
        with contextlib.suppress(OSError):
            yield
        self.close()
        with self._lock:
            self._directions -= 1
            last = not self._directions
        if last:
            self.client.close()
            self.server.close()
