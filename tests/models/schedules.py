"""Explorer of schedules: every order in which the steps of several generators can run.

A program is a generator that yields before each atomic step. The code between two yields is one
step. It yields the name of the step, or ``Wait(name, until)`` if the step may have to wait.
An interruption is thrown in at such a yield, so `except` and `finally` mean what they mean in
Python. Generators cannot be copied: a state is reached again by running its schedule again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from types import FunctionType, GeneratorType
from typing import Any

__all__ = ["Actor", "Explored", "Interruption", "Program", "Violation", "Wait", "World", "explore"]


class Interruption(BaseException):
    """Raised in a caller by a signal handler or another thread."""


class Violation(Exception):
    """An invariant is broken."""


@dataclass(frozen=True)
class Wait:
    """A step that waits for a condition."""

    name: str
    until: Callable[[], bool]


Program = Generator["str | Wait", None, Any]


class Actor:
    """A thread with the programs that run on it, one within the other."""

    def __init__(self, name: str, program: Program, *, interruptions: bool = True) -> None:
        self.name = name
        self.interruptions = interruptions
        self.stack: list[Program] = []
        self.next: list[str | Wait] = []
        self.nest(program)

    def nest(self, program: Program) -> None:
        """Run ``program`` to its end before the current program goes on, like a signal handler."""
        self.stack.append(program)
        self.next.append("")
        self.step()

    @property
    def done(self) -> bool:
        return not self.stack

    @property
    def ready(self) -> bool:
        if self.done:
            return False
        step = self.next[-1]
        return step.until() if isinstance(step, Wait) else True

    @property
    def step_name(self) -> str:
        step = self.next[-1]
        return step.name if isinstance(step, Wait) else step

    def step(self, error: BaseException | None = None) -> None:
        program = self.stack[-1]
        try:
            self.next[-1] = next(program) if error is None else program.throw(error)
        except StopIteration:
            self._pop()
        except Interruption as raised:
            self._pop()
            if self.stack:
                self.step(raised)

    def _pop(self) -> None:
        self.stack.pop()
        self.next.pop()


class World:
    """The shared state of the programs. A model adds attributes to it."""

    def __init__(self) -> None:
        self.actors: list[Actor] = []
        self.interruptions = 0  # how many interruptions may still come
        self.spared: set[str] = set()  # the callers that are not interrupted
        self.nested: dict[str, Callable[[], Program]] = {}  # programs that may run within a step

    def choices(self) -> list[str]:
        """The possible next choices."""
        found = []
        for actor in self.actors:
            if actor.ready:
                found.append(f"step {actor.name}")
            if not actor.done and actor.interruptions:
                if self.interruptions and actor.name not in self.spared:
                    found.append(f"interrupt {actor.name}")
                if actor.name in self.nested:
                    found.append(f"nest {actor.name}")
        return found

    def choose(self, choice: str) -> str:
        """Carry out the choice, and describe it."""
        verb, _, name = choice.partition(" ")
        actor = next(actor for actor in self.actors if actor.name == name)
        described = f"{name}: {actor.step_name}"
        if verb == "step":
            actor.step()
            return described
        if verb == "interrupt":
            self.interruptions -= 1
            actor.step(Interruption())
            return f"{name}: INTERRUPTED before: {described.partition(': ')[2]}"
        actor.nest(self.nested.pop(name)())
        return f"{name}: another program runs before: {described.partition(': ')[2]}"

    def check(self) -> None:
        """Raise ``Violation`` if this state breaks an invariant."""

    def settle(self) -> None:
        """Called when every caller is done: finish, and check the end state."""

    @property
    def callers_are_done(self) -> bool:
        return all(actor.done for actor in self.actors if actor.interruptions)


@dataclass
class Explored:
    """The result of an exploration."""

    states: int = 0
    steps: int = 0
    violation: str = ""
    trace: list[str] = field(default_factory=list)


def explore(make: Callable[[], World], limit: int = 1_000_000) -> Explored:
    """Visit every state of ``make()``, nearest first; stop at the first violation."""
    explored = Explored()
    seen: set[int] = set()
    todo: deque[tuple[str, ...]] = deque([()])
    while todo:
        schedule = todo.popleft()
        world, trace = replay(make, schedule)
        choices = world.choices()
        if not choices and not world.callers_are_done:
            explored.violation, explored.trace = "the callers wait for ever", trace
            break
        for choice in choices:
            world = world if world is not None else replay(make, schedule)[0]
            explored.steps += 1
            described = world.choose(choice)
            try:
                world.check()
                state = hash(freeze(world))
                if state not in seen:
                    seen.add(state)
                    assert len(seen) <= limit, "more states than expected"
                    todo.append((*schedule, choice))
                    if world.callers_are_done:
                        world.settle()
            except Violation as violation:
                explored.violation, explored.trace = str(violation), [*trace, described]
                break
            world = None
        if explored.violation:
            break
    explored.states = len(seen)
    return explored


def replay(make: Callable[[], World], schedule: tuple[str, ...]) -> tuple[Any, list[str]]:
    world = make()
    return world, [world.choose(choice) for choice in schedule]


def freeze(value: Any, seen: dict[int, int] | None = None) -> Any:
    """The contents of ``value`` as nested tuples, generators included, without identities."""
    kind = type(value)
    seen = {} if seen is None else seen
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is list or kind is tuple:
        return tuple([freeze(item, seen) for item in value])
    if kind is dict:
        return tuple([(freeze(key, seen), freeze(item, seen)) for key, item in value.items()])
    if kind is set:
        return tuple(sorted(value))
    if kind is Wait or kind is FunctionType or isinstance(value, BaseException):
        return kind.__name__
    if id(value) in seen:
        return -seen[id(value)]
    seen[id(value)] = len(seen)
    if kind is GeneratorType:
        return freeze_generator(value, seen)
    return (kind.__name__, *[freeze(item, seen) for item in vars(value).values()])


def freeze_generator(generator: Any, seen: dict[int, int]) -> Any:
    frame = generator.gi_frame
    if frame is None:
        return "over"
    inside = freeze(generator.gi_yieldfrom, seen)
    # A copy: from Python 3.13 on it is no dictionary, but a view of the frame.
    return (generator.__name__, frame.f_lasti, freeze(dict(frame.f_locals), seen), inside)
