"""Small programs whose every schedule is explored in the model of a process."""

from __future__ import annotations

from collections.abc import Callable

from .process import Handle, Process
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


def sweep(process: Process) -> None:
    process.actors.append(Actor("sweep", process.sweep(), interruptions=False))


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
    first, second = process.handle("h1"), process.handle("h2")

    def owner() -> Program:
        yield from process.acquire("A", first)
        yield from block(process, "A", second)

    def other() -> Program:
        yield Wait("the first handle holds", lambda: first.granted or bool(first.outcomes))
        yield from process.release(first)

    process.actors += [Actor("A", owner()), Actor("B", other())]
    sweep(process)
    return process


def released_by_both(without: str = "") -> Process:
    """Two handles of one hold, released by two threads; one interruption."""
    process = Process(without)
    process.interruptions = 1
    first, second = process.handle("h1"), process.handle("h2")

    def owner() -> Program:
        yield from process.acquire("A", first)
        yield from process.acquire("A", second)
        yield from process.release(first)

    def other() -> Program:
        yield Wait("the second handle holds", lambda: second.granted or process.actors[0].done)
        yield from process.release(second)

    process.actors += [Actor("A", owner()), Actor("B", other())]
    sweep(process)
    return process


def handler_takes_it(without: str = "") -> Process:
    """A signal handler runs a block of its own between any two steps; two interruptions."""
    process = Process(without)
    process.interruptions = 2
    process.actors.append(Actor("A", block(process, "A", process.handle("h1"))))
    process.nested["A"] = lambda: block(process, "A", process.handle("h2"))
    sweep(process)
    return process


def handler_keeps_it(without: str = "") -> Process:
    """A signal handler acquires and does not release; two interruptions."""
    process = Process(without)
    process.interruptions = 2
    process.actors.append(Actor("A", block(process, "A", process.handle("h1"))))
    process.nested["A"] = lambda: process.acquire("A", process.handle("h2"))
    sweep(process)
    return process


def two_owners(without: str = "") -> Process:
    """Two threads queue for the name, each for a while; two interruptions."""
    process = Process(without)
    process.interruptions = 2
    process.ticks = 2
    for name in ("A", "B"):
        program = block(process, name, process.handle(f"h{name}"), until=2)
        process.actors.append(Actor(name, program))
    return process


def dropped(without: str = "") -> Process:
    """A handle is collected while its thread acquires the name again; one interruption."""
    process = Process(without)
    process.interruptions = 1
    first, second = process.handle("h1"), process.handle("h2")

    def owner() -> Program:
        yield from process.acquire("A", first)
        yield "del first"
        first.dropped, first.granted = True, False
        yield from block(process, "A", second)

    process.actors.append(Actor("A", owner()))
    sweep(process)
    return process


SCENARIOS: dict[str, Callable[[str], Process]] = {
    scenario.__name__: scenario
    for scenario in (
        one_block,
        joined_while_released,
        released_by_both,
        handler_takes_it,
        handler_keeps_it,
        two_owners,
        dropped,
    )
}
