"""Traces of the model: all short ones, and a random sample of long ones."""

from __future__ import annotations

import random
from collections.abc import Iterator

from ..explorer import Label, Violation
from ..protocol.model import Model
from ..protocol.terms import Terms

__all__ = ["Trace", "random_traces", "short_traces"]

Trace = tuple[Label, ...]

# The steps that affect the server or its clock.
SEEN_BY_SERVER = {"run", "force", "tick", "jump", "flush", "crash", "unlink", "relink"}


def short_traces(terms: Terms, depth: int) -> list[Trace]:
    """A way to each state within ``depth`` steps, without those that are alike to a server."""
    seen = {Model(terms).key()}
    layer: list[tuple[Trace, Model]] = [((), Model(terms))]
    ways: dict[Trace, Trace] = {}
    for _ in range(depth):
        following = []
        for way, state in layer:
            for label, step in state.steps():
                after = step()
                longer = (*way, label)
                if label[0] in SEEN_BY_SERVER:
                    ways.setdefault(_as_seen(longer), longer)
                if (key := after.key()) not in seen:
                    seen.add(key)
                    following.append((longer, after))
        layer = following
    # A trace with which another one begins is replayed as part of that.
    beginnings = {seen_way[:-1] for seen_way in ways}
    return [way for seen_way, way in ways.items() if seen_way not in beginnings]


def _as_seen(way: Trace) -> Trace:
    return tuple(label for label in way if label[0] in SEEN_BY_SERVER)


def random_traces(terms: Terms, number: int, length: int, seed: int) -> Iterator[Trace]:
    """Random walks, each of which ends before a step that the model forbids."""
    chance = random.Random(seed)
    for _ in range(number):
        state, way = Model(terms), list[Label]()
        while len(way) < length and (steps := list(state.steps())):
            label, step = chance.choice(steps)
            try:
                state = step()
            except Violation:
                break
            way.append(label)
        yield tuple(way)
