"""Worker: one process with threads and tasks that use locks until its supervisor ends it.

    python -m tests.faults.workers.worker FOLDER NUMBER

The supervisor writes `orders.json` into the folder, and later the files `stop`, `check` and `end`;
the worker answers with files `PID.ready`, `PID.idle` and `PID.checked`.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import django

from tests.faults.workers.probes import SHOWS_STACKS
from tests.support.places import Place

# How long (seconds) an operation may take at most, on a slow machine and a server that hangs.
OPERATION_TAKES = 15.0
POLL_EVERY = 0.02  # seconds


@dataclasses.dataclass
class Orders:
    """Instructions for a worker. The supervisor writes them as JSON."""

    history: str
    place: dict[str, Any]
    seed: int
    threads: int = 3
    tasks: int = 4
    injection: str = ""
    operation: str = ""  # in addition to the usual ones
    writers: int = 1  # threads and tasks that write rows

    def write(self, folder: Path) -> None:
        """Write the file that workers read."""
        (folder / "orders.json").write_text(json.dumps(dataclasses.asdict(self)))


class Worker:
    """The process. Its main thread is an actor, too, since only that one handles signals."""

    def __init__(self, folder: Path, number: int) -> None:
        from tests.faults.history import History
        from tests.faults.workers.actors import Crew

        self.folder = folder
        self.orders = Orders(**json.loads((folder / "orders.json").read_text()))
        self.history = History(self.orders.history)
        self.parent = os.getppid()
        self._ended = False
        self.random = Random(f"{self.orders.seed}/{number}")
        Place(**self.orders.place).use()
        self.crew = Crew(self.orders, self.history, self.random)

    def run(self) -> None:
        """Work, become idle, check, and return, each on the supervisor's signal."""
        self._watch_for_errors()
        threading.Thread(target=self._obey, daemon=True, name="obey").start()
        self._answer("ready")
        self.crew.work()
        while not self._ended:
            time.sleep(POLL_EVERY)

    def _obey(self) -> None:
        """Follow the supervisor's signals, whatever happens to the main thread."""
        self._wait_for("stop")
        self.crew.stopping = True
        if stuck := self.crew.wait_until_idle(OPERATION_TAKES):
            self.history.record("error", error=f"{stuck} did not end: {self._stacks()}")
        self._answer("idle")
        self._wait_for("check")
        self.crew.check()
        self._answer("checked")
        self._wait_for("end")
        self._ended = True
        self._wait_for("never")

    def _wait_for(self, what: str) -> None:
        while not (self.folder / what).exists():
            # A worker must not outlive its supervisor, even if a part of it hangs.
            if os.getppid() != self.parent:
                os._exit(1)
            time.sleep(POLL_EVERY)

    def _stacks(self) -> str:
        with tempfile.TemporaryFile("w+") as stacks:
            faulthandler.dump_traceback(stacks)
            stacks.seek(0)
            return stacks.read()

    def _answer(self, what: str) -> None:
        (self.folder / f"{os.getpid()}.{what}").touch()

    def _watch_for_errors(self) -> None:
        def record(error: BaseException | None, where: str) -> None:
            if not isinstance(error, self.crew.injection.interruptions):
                self.history.record("error", error=f"{where}: {error!r}")

        def in_thread(args: threading.ExceptHookArgs) -> None:
            record(args.exc_value, f"in thread {args.thread and args.thread.name}")

        def unraisable(args: Any) -> None:
            record(args.exc_value, f"in {args.object!r}")

        threading.excepthook = in_thread
        sys.unraisablehook = unraisable


def main() -> None:
    """Run one worker."""
    faulthandler.register(SHOWS_STACKS)
    django.setup()
    # Python never releases the import lock of a codec if an exception comes there.
    "localhost".encode("idna")
    Worker(Path(sys.argv[1]), int(sys.argv[2])).run()


if __name__ == "__main__":
    main()
