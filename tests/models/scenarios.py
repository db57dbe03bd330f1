"""Small programs whose every schedule is explored in the model of a process."""

from __future__ import annotations

from collections.abc import Callable

from .process import Process
from .records import Handle
from .schedules import Actor, Interruption, Program, Wait

__all__ = ["SCENARIOS"]


def block(process: Process, owner: str, handle: Handle, until: int = 0) -> Program:
    """`with lock(name): ...`"""
    if (yield from process.acquire(owner, handle, until)):
        try:
            yield "the body"
        except Interruption:
            yield from process.release(handle)
            raise
        yield from process.release(handle)


def sweep(process: Process, *, late: bool = False) -> None:
    """Our own thread sweeps once; with ``late``, only when there is something to do."""

    def program() -> Program:
        if late:
            yield Wait("something is over", lambda: any(a.over for a in process.attempts))
        yield from process.sweep()

    process.actors.append(Actor("sweep", program(), interruptions=False))


def acquired(process: Process, name: str) -> Handle:
    """A handle of thread A that holds before the exploration begins."""
    handle = process.handle(name)
    actor = Actor("A", process.acquire("A", handle))
    while not actor.done:
        actor.step()
    return handle


def one_block(without: str = "") -> Process:
    """A block that is interrupted twice."""
    process = Process(without)
    process.interruptions = 2
    process.actors.append(Actor("A", block(process, "A", process.handle("h1"))))
    sweep(process)
    return process


def joined_while_released(without: str = "") -> Process:
    """Another thread releases what its owner joins; one interruption."""
    process = Process(without)
    process.interruptions = 1
    first, second = acquired(process, "h1"), process.handle("h2")

    def owner() -> Program:
        yield from block(process, "A", second)

    def other() -> Program:
        yield from process.release(first)

    process.actors += [Actor("A", owner()), Actor("B", other())]
    return process


def joined_while_swept(without: str = "") -> Process:
    """The hold of an interrupted release is swept while its owner joins it."""
    process = Process(without)
    process.interruptions = 1
    first, second = acquired(process, "h1"), process.handle("h2")

    def owner() -> Program:
        try:
            yield from process.release(first)
        except Interruption:
            yield from process.acquire("A", second)

    process.actors.append(Actor("A", owner()))
    sweep(process, late=True)
    return process


def joined_beside_sweep(without: str = "") -> Process:
    """An interrupted release is swept while another thread joins."""
    process = Process(without)
    process.interruptions = 1
    process.spared.add("A")
    first, second = acquired(process, "h1"), process.handle("h2")

    def owner() -> Program:
        yield Wait("a release has begun", lambda: not first.granted or process.actors[1].done)
        yield from process.acquire("A", second)

    def other() -> Program:
        yield from process.release(first)

    process.actors += [Actor("A", owner()), Actor("B", other())]
    sweep(process, late=True)
    return process


def released_by_both(without: str = "") -> Process:
    """Two handles of one hold, released by two threads; one interruption."""
    process = Process(without)
    process.interruptions = 1
    first, second = acquired(process, "h1"), acquired(process, "h2")

    def owner() -> Program:
        yield from process.release(first)

    def other() -> Program:
        yield from process.release(second)

    process.actors += [Actor("A", owner()), Actor("B", other())]
    sweep(process, late=True)
    return process


def handler_takes_it(without: str = "") -> Process:
    """A signal handler runs a block of its own between any two steps; two interruptions."""
    process = Process(without)
    process.interruptions = 2
    process.actors.append(Actor("A", block(process, "A", process.handle("h1"))))
    process.nested["A"] = lambda: block(process, "A", process.handle("h2"))
    return process


def handler_keeps_it(without: str = "") -> Process:
    """A signal handler acquires and does not release; two interruptions."""
    process = Process(without)
    process.interruptions = 2
    process.actors.append(Actor("A", block(process, "A", process.handle("h1"))))
    process.nested["A"] = lambda: process.acquire("A", process.handle("h2"))
    return process


def two_owners(without: str = "") -> Process:
    """Two threads queue for the name, each for a while; one interruption."""
    process = Process(without)
    process.interruptions = 1
    process.ticks = 1
    for name in ("A", "B"):
        program = block(process, name, process.handle(f"h{name}"), until=1)
        process.actors.append(Actor(name, program))
    return process


def dropped(without: str = "") -> Process:
    """A handle is collected while its thread acquires the name again; one interruption."""
    process = Process(without)
    process.interruptions = 1
    first, second = acquired(process, "h1"), process.handle("h2")

    def owner() -> Program:
        yield "del first"
        first.dropped, first.granted = True, False
        yield from block(process, "A", second)

    process.actors.append(Actor("A", owner()))
    sweep(process)
    return process


def again(without: str = "") -> Process:
    """Interrupted, and tried again with the same handle."""
    process = Process(without)
    process.interruptions = 1
    handle = process.handle("h1")

    def owner() -> Program:
        try:
            yield from block(process, "A", handle)
        except Interruption:
            yield from block(process, "A", handle)

    process.actors.append(Actor("A", owner()))
    sweep(process, late=True)
    return process


def extended_and_renewed(without: str = "") -> Process:
    """A thread and the renewal extend one hold; the server answers in any order."""
    process = Process(without)
    process.ticks, process.apart = 2, True
    acquired(process, "h1")
    hold = next(iter(process.holds))

    def owner() -> Program:
        yield from process.extend("A", hold, 6)

    process.actors.append(Actor("A", owner()))
    process.actors.append(Actor("renewal", process.renew(), interruptions=False))
    return process


def shortened(without: str = "") -> Process:
    """A thread makes the lease shorter while the renewal extends it; one interruption."""
    process = Process(without)
    process.ticks, process.apart, process.interruptions = 1, True, 1
    acquired(process, "h1")
    hold = next(iter(process.holds))

    def owner() -> Program:
        yield from process.extend("A", hold, 2)

    process.actors.append(Actor("A", owner()))
    process.actors.append(Actor("renewal", process.renew(), interruptions=False))
    return process


def released_by_force(without: str = "") -> Process:
    """Released by force: the owner and the renewal both learn that it is lost."""
    process = Process(without)
    handle = acquired(process, "h1")
    hold = next(iter(process.holds))

    def owner() -> Program:
        yield from process.extend("A", hold, 3)
        yield from process.release(handle)

    def force() -> Program:
        yield Wait("force-release", lambda: handle.granted)
        process.forced = True
        process.server.token = ""

    process.actors += [Actor("A", owner()), Actor("admin", force(), interruptions=False)]
    process.actors.append(Actor("renewal", process.renew(), interruptions=False))
    return process


SCENARIOS: dict[str, Callable[[str], Process]] = {
    scenario.__name__: scenario
    for scenario in (
        one_block,
        joined_while_released,
        joined_while_swept,
        joined_beside_sweep,
        released_by_both,
        handler_takes_it,
        handler_keeps_it,
        two_owners,
        dropped,
        again,
        extended_and_renewed,
        shortened,
        released_by_force,
    )
}
