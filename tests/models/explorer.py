"""Breadth-first search through all states of a model."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeAlias

__all__ = ["Exploration", "Label", "Model", "Violation", "explore"]

Label: TypeAlias = "tuple[object, ...]"
Step: TypeAlias = "tuple[Label, Callable[[], Model]]"


class Violation(Exception):
    """An invariant is broken."""


class Model(Protocol):
    """A state of a model."""

    def steps(self) -> Iterator[Step]:
        """The possible next steps: a label, and a function that returns the state after it.

        The function raises ``Violation`` if the step breaks an invariant.
        """

    def key(self) -> Hashable:
        """Equal for states whose futures are the same."""


class Exploration(NamedTuple):
    """The result of a search. ``trace`` is a shortest way to the violation, if there is one."""

    states: int
    transitions: int
    depth: int
    seconds: float
    violation: str
    trace: tuple[Label, ...]

    def __str__(self) -> str:
        size = f"{self.states:,} states, {self.transitions:,} transitions, depth {self.depth}"
        lines = [f"{size}, {self.seconds:.1f} s"]
        if self.violation:
            lines += [f"  {' '.join(map(str, label))}" for label in self.trace]
            lines.append(f"  -> {self.violation}")
        return "\n".join(lines)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """States make no cycles. To look for some among millions of them takes a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@without_garbage_collection()
def explore(start: Model, most: int = 5_000_000) -> Exploration:
    """Visit every reachable state, nearest first; stop at the first violation."""
    began = time.monotonic()
    # A state is remembered by the hash of its key. At a million states, the chance that any two
    # of them share one of 64 bits is one in thirty million.
    seen = {hash(start.key())}
    came_from: list[tuple[int, Label]] = [(-1, ("start",))]
    layer: list[tuple[int, Model]] = [(0, start)]
    transitions = depth = 0
    while layer:
        following: list[tuple[int, Model]] = []
        for number, state in layer:
            for label, step in state.steps():
                transitions += 1
                try:
                    after = step()
                except Violation as violation:
                    trace = (*_way_to(number, came_from), label)
                    seconds = time.monotonic() - began
                    return Exploration(
                        len(seen), transitions, depth, seconds, str(violation), trace
                    )
                digest = hash(after.key())
                if digest not in seen:
                    seen.add(digest)
                    following.append((len(came_from), after))
                    came_from.append((number, label))
        layer = following
        depth += bool(layer)
        if len(seen) > most:
            raise RuntimeError(f"more than {most:,} states; make the configuration smaller")
    return Exploration(len(seen), transitions, depth, time.monotonic() - began, "", ())


def _way_to(number: int, came_from: list[tuple[int, Label]]) -> list[Label]:
    way = []
    while number > 0:
        number, label = came_from[number]
        way.append(label)
    return way[::-1]
