"""Server processes of the site, forked from a process that has prepared the database.

Run as ``python -m example_project.demo.servers OFFICES PORT``. OFFICES processes, the box offices,
each listen on a port of their own for buyers. One more process serves the page on PORT, or on a
free port if PORT is taken, so that the page still works while a box office is frozen. When all
processes are ready, their ports are written to standard output as one line of JSON.

A box office that was killed is replaced by a new one, as any process manager does. Waitress is used
because it is pure Python without dependencies, can serve sockets that are already open, and has no
process manager of its own, so that these processes end without delay when they are asked to.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
from collections.abc import Sequence
from multiprocessing.context import ForkProcess
from types import FrameType
from typing import NoReturn

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import CommandError
from waitress import serve

from . import HOST
from .database import prepare_database

# Requests that a process handles at once. Each has a database connection, and PostgreSQL allows
# 100 in total by default.
THREADS = 16

FORK = multiprocessing.get_context("fork")


def main(offices: int, port: int) -> NoReturn:
    """Serve until SIGTERM, or until one of the processes ends by itself."""
    signal.signal(signal.SIGTERM, _leave)
    private = [socket.create_server((HOST, 0), backlog=1024) for _ in range(offices)]
    public = _listen(port)
    # The settings read this, so it must be set before Django is.
    os.environ["BOX_OFFICES"] = " ".join(f"{HOST}:{_port(listener)}" for listener in private)
    from example_project.wsgi import application

    try:
        prepare_database(os.environ["DEMO_ADMIN_PASSWORD"])
    except CommandError as error:
        sys.exit(str(error))
    listeners = [*private, public]
    processes = [_process(application, listener) for listener in listeners]
    try:
        for process in processes:
            process.start()
        print(json.dumps([_port(listener) for listener in listeners]), flush=True)
        while True:
            multiprocessing.connection.wait([process.sentinel for process in processes])
            for place in _killed(processes):
                # New connections have been queued by the listener, which is still open here.
                processes[place] = _process(application, listeners[place])
                processes[place].start()
    finally:
        # The database's folder is removed when this process ends, so no process may outlive it.
        for process in processes:
            if process.pid:
                process.kill()
                process.join()


def _killed(processes: Sequence[ForkProcess]) -> list[int]:
    """Return the indexes of killed processes. Exits if one has ended by itself."""
    ended = {place: one.exitcode for place, one in enumerate(processes) if one.exitcode is not None}
    if any(code != -signal.SIGKILL for code in ended.values()):
        sys.exit("A server process has ended.")
    return list(ended)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=1024)
    except OSError:
        return socket.create_server((HOST, 0), backlog=1024)


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def _process(application: WSGIHandler, listener: socket.socket) -> ForkProcess:
    return FORK.Process(target=_serve, args=(application, listener))


def _serve(application: WSGIHandler, listener: socket.socket) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    serve(StaticFilesHandler(application), sockets=[listener], threads=THREADS)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
