"""A server that refuses everything, whatever it is asked."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django_redislock.testing.servers import HOST
from tests.support.resp import take_commands

__all__ = ["Refusing", "refusing_server"]


class Refusing(socketserver.ThreadingTCPServer):
    """A server that answers each command with the same error."""

    daemon_threads = True
    error = b""


class Connection(socketserver.BaseRequestHandler):
    server: Refusing

    def handle(self) -> None:
        received = b""
        with suppress(OSError):
            while data := self.request.recv(65536):
                commands, received = take_commands(received + data)
                self.request.sendall(self.server.error * len(commands))


@contextmanager
def refusing_server() -> Iterator[Refusing]:
    with Refusing((HOST, 0), Connection) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
