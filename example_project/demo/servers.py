"""The server processes of the site, forked from one that has prepared the database.

Run as ``python -m example_project.demo.servers SERVERS [PORT]``. Each process listens on a port of
its own, so that a load can be spread evenly, and all of them on PORT, or on a free one if PORT is
taken. When all is ready the ports are written to standard output, as one line of JSON.

Waitress, because it is pure Python with no dependencies, serves sockets that are open already,
and has no process manager of its own: the processes here end when they are told, with no delay.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import CommandError
from waitress import serve

from example_project.wsgi import application

from . import HOST
from .database import prepare_database

# Requests that a process works on at once. Each has a database connection, and PostgreSQL allows
# 100 in all by default.
THREADS = 16


def main(servers: int, port: int | None = None) -> NoReturn:
    """Serve until SIGTERM, or until one of the servers ends by itself."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        prepare_database(os.environ["DEMO_ADMIN_PASSWORD"])
    except CommandError as error:
        sys.exit(str(error))
    private = [socket.create_server((HOST, 0), backlog=1024) for _ in range(servers)]
    public = [] if port is None else [_listen(port)]
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_serve, args=([own, *public],)) for own in private]
    try:
        for process in processes:
            process.start()
        _announce(private, public)
        multiprocessing.connection.wait([process.sentinel for process in processes])
        sys.exit("A server process has ended.")
    finally:
        # The database's folder is removed when this process has ended, so none may outlive it.
        for process in processes:
            if process.pid:
                process.kill()
                process.join()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=1024)
    except OSError:
        return socket.create_server((HOST, 0), backlog=1024)


def _announce(private: list[socket.socket], public: list[socket.socket]) -> None:
    ports = [[listener.getsockname()[1] for listener in group] for group in (private, public)]
    print(json.dumps(ports), flush=True)


def _serve(listeners: list[socket.socket]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    serve(StaticFilesHandler(application), sockets=listeners, threads=THREADS)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
