"""Scene of a run: servers, a database, workers, and their history."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from django.test import override_settings
from redis import Redis
from redis.exceptions import RedisError

from django_redislock import lock_backends
from tests.faults.history import History, now
from tests.faults.sites import client_of
from tests.faults.victim.database import Database
from tests.faults.workers.probes import SHOWN_WITHIN, SHOWS_STACKS
from tests.faults.workers.worker import Orders
from tests.support.places import Place
from tests.support.processes import freeze, kill_hard, thaw, wait_until

if TYPE_CHECKING:
    from tests.faults.causes.fault import Fault

ROOT = Path(__file__).parents[2]
WITHIN = 60.0  # seconds; a deadline for a machine under load, not an expectation
STARTED_WITHIN = 5 * WITHIN  # many runs at once may begin together
SAID = 4000  # characters at the end of what a worker has written
PING_EVERY, SLOW = 0.02, 0.005  # seconds


class Scene:
    """Everything that a fault can affect. It ends with the block, and leaves nothing behind."""

    def __init__(self, fault: Fault, seed: int) -> None:
        self.fault = fault
        self.seed = seed
        self.random = Random(seed)
        self.workers: list[subprocess.Popen[bytes]] = []
        self._started = 0
        self._ending = threading.Event()

    def __enter__(self) -> Scene:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="redislock-faults-"))
            self.folder = Path(folder)
            self.history = History(self.folder / "history")
            self.site: Any = stack.enter_context(self.fault.make_site(self.folder))
            self.database = stack.enter_context(Database(self.folder))
            self._write_orders()
            stack.callback(self._end_all)
            for _ in range(self.fault.processes):
                self.start_worker()
            self.wait_until_ready()
            self._stack = stack.pop_all()
        self._start_probe()
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        self._stack.close()

    def start_worker(self) -> None:
        """Start one more worker."""
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "REDISLOCK_TEST_REDIS_URL": self.site.holding()[0].url,
            "REDISLOCK_TEST_DATABASE_URL": self.database.url,
            "PYTHONWARNINGS": "ignore",
        }
        module = "green_worker" if self.fault.greenlets else "worker"
        with (self.folder / f"output-{self._started}").open("wb") as output:
            arguments = [str(self.folder), str(self._started)]
            worker = subprocess.Popen(
                [sys.executable, "-m", f"tests.faults.workers.{module}", *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        worker.args = output.name
        self._started += 1
        self.workers.append(worker)

    def wait_until_ready(self) -> None:
        """Wait until all workers use locks, which takes long on a machine under load."""
        self._wait_for("ready", STARTED_WITHIN)

    def kill_worker(self) -> None:
        """Kill a worker as `kill -9` does."""
        worker = self.random.choice(self.workers)
        kill_hard(worker.pid)
        worker.wait()
        self.history.record("gone", pid=worker.pid)
        self.workers.remove(worker)

    def terminate_worker(self) -> None:
        """Ask a worker that uses locks to end, and wait until it has."""
        worker = self.workers.pop(0)
        worker.terminate()
        self._wait_for_end(worker, "does not end at SIGTERM")
        if worker.returncode is None:
            worker.kill()
            worker.wait()
        self.history.record("gone", pid=worker.pid)

    @contextmanager
    def frozen_worker(self) -> Iterator[None]:
        """Freeze a worker during the block."""
        worker = self.random.choice(self.workers)
        freeze(worker.pid)
        try:
            yield
        finally:
            thaw(worker.pid)

    def client(self) -> Redis:
        """A direct connection to a server that has names, without proxies."""
        return client_of(self.site.holding()[0])

    def servers(self) -> str:
        """The servers and their versions."""
        with self.client() as client:
            info = client.info("server")
        name = "Valkey" if "valkey_version" in info else "Redis"
        version = info.get("valkey_version", info["redis_version"])
        return f"{name} {version}, {self.database.description}"

    def signal_workers(self, what: str, answer: str) -> None:
        """Signal the workers, and wait until each has answered or ended."""
        (self.folder / what).touch()
        try:
            self._wait_for(answer)
        except AssertionError as error:
            self.history.record("error", error=str(error))

    def end(self) -> None:
        """Let the workers end by themselves. It is an error if one does not."""
        (self.folder / "end").touch()
        for worker in self.workers:
            self._wait_for_end(worker, "does not end")
            if worker.returncode:
                what = f"a worker has ended with {worker.returncode}: {_said_by(worker)}"
                self.history.record("error", error=what)

    def left_behind(self, names: Iterable[str]) -> Iterator[str]:
        """Yield holds and queues that are left, and keys of these names that never expire."""
        direct: Place = self.site.direct
        with override_settings(**direct.settings()):
            for name in names:
                holds, queue = lock_backends["default"].inspect(name)
                yield from (f"{name}: held by {hold.token}: {hold}" for hold in holds)
                yield from (f"{name}: queued: {waiting}" for waiting in queue)
        for client in map(client_of, self.site.holding()):
            for key in client.scan_iter(match=f"*{direct.prefix}*", count=1000):
                of_name = key.decode(errors="replace").endswith(tuple(f":{name}" for name in names))
                if of_name and client.pttl(key) == -1:
                    yield f"{key!r} has no expiry"

    def _write_orders(self) -> None:
        fault = self.fault
        place: Place = self.site.place
        if fault.pool:
            place = place.pool(**fault.pool)
        Orders(
            history=self.history.path,
            place=dataclasses.asdict(place),
            seed=self.seed,
            threads=fault.threads,
            tasks=fault.tasks,
            injection=fault.injection,
            operation=fault.operation,
        ).write(self.folder)

    def _wait_for(self, answer: str, within: float = WITHIN) -> None:
        def have_answered() -> bool:
            return all(
                (self.folder / f"{worker.pid}.{answer}").exists() or worker.poll() is not None
                for worker in self.workers
            )

        wait_until(have_answered, within=within, what=f"the workers are {answer}")

    def _wait_for_end(self, worker: subprocess.Popen[bytes], otherwise: str) -> None:
        try:
            worker.wait(WITHIN)
        except subprocess.TimeoutExpired:
            worker.send_signal(SHOWS_STACKS)
            with suppress(subprocess.TimeoutExpired):
                worker.wait(SHOWN_WITHIN)
            what = f"worker {worker.pid} {otherwise}: {_said_by(worker)}"
            self.history.record("error", error=what)

    def _start_probe(self) -> None:
        probe = threading.Thread(target=self._probe, daemon=True, name="probe")
        probe.start()
        self._stack.callback(probe.join)

    def _probe(self) -> None:
        """Record when this machine is busy: sleeps take longer, and the server answers late."""
        with self.client() as client:
            while not self._ending.is_set():
                asked, began = now(), time.monotonic()
                self._ending.wait(PING_EVERY)
                # A server that does not answer may be the fault itself, which is no excuse.
                if self.fault.server_answers:
                    with suppress(RedisError):
                        client.ping()
                took = time.monotonic() - began
                if took > PING_EVERY + SLOW:
                    self.history.record("stall", at=asked, who="server", wait=took)

    def _end_all(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
        self.history.close()


def _said_by(worker: subprocess.Popen[bytes]) -> str:
    return Path(str(worker.args)).read_text(errors="replace")[-SAID:]
