"""Actors of one process: threads, and tasks of event loops, with probes of their stalls."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from django_redislock.local.registry import registry
from tests.faults.history import History
from tests.faults.workers import workload
from tests.faults.workers.claims import Refused, described
from tests.faults.workers.forks import fork, fork_storm
from tests.faults.workers.handing import hand_over
from tests.faults.workers.injections import INJECTIONS
from tests.faults.workers.modes import Awaiting, Blocking, drive
from tests.faults.workers.operator import clear, force
from tests.faults.workers.probes import probe_loop, start_probe
from tests.faults.workers.workload import Actor, Operation
from tests.faults.workers.writing import write_fenced, write_in_transaction, write_unfenced

if TYPE_CHECKING:
    from tests.faults.workers.worker import Orders

USUAL: dict[Operation, int] = {**workload.WEIGHTS, hand_over: 6, force: 3, clear: 1}
WRITES: list[Operation] = [write_fenced, write_unfenced, write_in_transaction]
FURTHER: dict[str, dict[Operation, int]] = {
    "": {},
    "fork": {fork: 15},
    "fork_storm": {fork_storm: 15},
    "release_elsewhere": {workload.release_elsewhere: 90},
    "share_token": {workload.share_token: 90},
}
LOOPS = 2  # event loops, each with some of the tasks
FORGOTTEN_WITHIN = 5.0  # seconds; interrupted attempts are cleaned up twice a second
CHECK_WAIT = 15.0  # seconds; all processes check at once, and are served one by one


class Crew:
    """All actors of one process."""

    def __init__(self, orders: Orders, history: History, random: Random) -> None:
        self.history = history
        self.random = random
        self.stopping = False
        self.injection = INJECTIONS[orders.injection](random)
        weights = {**USUAL, **FURTHER[orders.operation]}
        # A forked copy of an event loop is useless.
        of_tasks = {one: weight for one, weight in weights.items() if one not in (fork, fork_storm)}
        self._weights = {Blocking: weights, Awaiting: of_tasks}
        self.main, *self.others = (self._actor(f"t{i}", Blocking) for i in range(orders.threads))
        self.tasks = [self._actor(f"a{i}", Awaiting) for i in range(orders.tasks)]
        self.writers = [self._actor(f"w{i}", Blocking) for i in range(orders.writers)]
        self.writing_tasks = [
            self._actor(f"aw{i}", Awaiting) for i in range(orders.writers if self.tasks else 0)
        ]
        everyone = (self.main, *self.others, *self.tasks, *self.writers, *self.writing_tasks)
        self._idle = {one.name: threading.Event() for one in everyone}
        self._loops = [asyncio.new_event_loop() for _ in self.tasks[:LOOPS]]
        # A loop keeps only weak references to its tasks.
        self._working: list[asyncio.Task[None]] = []

    def work(self) -> None:
        """Work until `stopping`; the main thread returns when its own last operation has ended."""
        self.injection.start([self.main, *self.others])
        start_probe(self.history)
        for actor in self.others:
            self._start(partial(self._survive, actor), actor.name)
        for actor in self.writers:
            self._start(partial(self._write, actor), actor.name)
        for number in range(len(self._loops)):
            self._start(partial(self._run_loop, number), "loop")
        self._survive(self.main)

    def wait_until_idle(self, within: float) -> list[str]:
        """Return the names of actors that have not ended their last operations in time."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline and not all(one.is_set() for one in self._idle.values()):
            time.sleep(0.02)
        return [name for name, idle in self._idle.items() if not idle.is_set()]

    def check(self) -> None:
        """Check that this process has forgotten its holds, and can still acquire each name, in a
        thread and in a task.
        """
        deadline = time.monotonic() + FORGOTTEN_WITHIN
        while registry and time.monotonic() < deadline:
            time.sleep(0.02)
        for left in (*registry.holds, *registry.attempts, *registry.lost):
            self.history.record("error", error=f"left in the registry: {state_of(left)}")
        checking = [self._start(self._check_all, "check")]
        for number, loop in enumerate(self._loops):
            of_task = asyncio.run_coroutine_threadsafe(self._acheck_all(number), loop)
            checking.append(self._start(of_task.result, "check in a task"))
        for thread in checking:
            thread.join(2 * CHECK_WAIT)
            if thread.is_alive():
                self.history.record("error", error=f"{thread.name} did not end")

    def _actor(self, name: str, mode: type[Blocking | Awaiting]) -> Actor:
        random = Random(self.random.random())
        return Actor(name, mode(), self.history, random, self.injection.interruptions)

    def _start(self, target: Callable[[], Any], name: str) -> threading.Thread:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def _survive(self, actor: Actor) -> None:
        """Work in this thread. An interruption may come even while another one is handled."""

        def again(work: Callable[[], None]) -> None:
            while True:
                try:
                    return work()
                except self.injection.interruptions:
                    continue

        again(partial(again, partial(again, partial(self._work, actor))))
        self._idle[actor.name].set()

    def _work(self, actor: Actor) -> None:
        error: BaseException | None = None
        while True:
            try:
                drive(actor.mend(error))
                error = None
                if self.stopping:
                    return
                self.injection.arm(actor)
                drive(actor.act(self._choose(actor)))
                self.injection.disarm(actor)
            except self.injection.interruptions as raised:
                self.injection.disarm(actor)
                error = raised

    def _write(self, actor: Actor) -> None:
        drive(self._write_until_stopped(actor))

    async def _write_until_stopped(self, actor: Actor) -> None:
        """Write rows. Writers get no injections: the reaction of database drivers is not tested."""
        while not self.stopping:
            await actor.act(actor.random.choice(WRITES))
        self._idle[actor.name].set()

    def _run_loop(self, number: int) -> None:
        loop, loops = self._loops[number], len(self._loops)
        # From Python 3.12 on, tasks may run inside the call that creates them.
        if (eager := getattr(asyncio, "eager_task_factory", None)) and self.random.random() < 0.5:
            loop.set_task_factory(eager)
        loop.set_exception_handler(
            lambda _, context: self.history.record("error", error=f"in the event loop: {context}")
        )
        writing = self.writing_tasks[number::loops]
        self._working += [
            loop.create_task(probe_loop(self.history)),
            *(loop.create_task(self._awork(actor)) for actor in self.tasks[number::loops]),
            *map(loop.create_task, map(self._write_until_stopped, writing)),
        ]
        loop.run_forever()

    async def _awork(self, actor: Actor) -> None:
        loop = asyncio.get_running_loop()
        while not self.stopping:
            task = loop.create_task(actor.act(self._choose(actor)))
            cancelling = [loop.call_later(delay, task.cancel) for delay in self.injection.delays()]
            try:
                await task
            except asyncio.CancelledError as error:
                await actor.mend(error)
            for handle in cancelling:
                handle.cancel()
        self._idle[actor.name].set()

    def _choose(self, actor: Actor) -> Operation:
        weights = self._weights[type(actor.mode)]
        return actor.random.choices(list(weights), list(weights.values()))[0]

    def _check_all(self) -> None:
        drive(self._check(self._actor("check", Blocking)))

    async def _acheck_all(self, number: int) -> None:
        await self._check(self._actor(f"acheck{number}", Awaiting))

    async def _check(self, actor: Actor) -> None:
        for name in workload.NAMES:
            # The fault may go on within the process, but it stops for no lease as long as this.
            claim = actor.claim(name, wait=CHECK_WAIT, lease=CHECK_WAIT)
            try:
                await claim.acquire()
                await claim.release()
            except Refused as refused:
                why = described(refused.__cause__) if refused.__cause__ else "it is busy"
                claim.note(
                    "error", error=f"{actor.name}: {name} cannot be acquired any more: {why}"
                )


def state_of(left: Any) -> dict[str, object]:
    """Return the attributes of a hold or an attempt."""
    names = (name for name in type(left).__slots__ if name != "__weakref__")
    return {name: getattr(left, name, None) for name in names}
