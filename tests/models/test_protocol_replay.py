"""Replay of the protocol model on a real server, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from django_redislock.testing.servers import EmbeddedServer
from tests.support.fixtures import UsePlace
from tests.support.server_clock import ServerClock

from .explorer import explore
from .protocol.model import Model
from .protocol.terms import FAULTS, TWO_IN_ONE_PROCESS, Terms
from .replay.stage import Stage
from .replay.traces import Trace, random_traces, short_traces

MUTEX = Terms(clients=3, names=2, kinds=FAULTS, faults=2, extensions=(1, 3))
SEMAPHORE = MUTEX._replace(limits=(1, 2, 2), names=1)
ONE_PROCESS = MUTEX._replace(processes=(0, 0, 1), attempts=2, names=1)
CONFIGURATIONS = {"mutex": MUTEX, "semaphore": SEMAPHORE, "one process": ONE_PROCESS}
ALL_CONFIGURATIONS = CONFIGURATIONS | {"two in one process": TWO_IN_ONE_PROCESS}


@pytest.fixture(params=list(CONFIGURATIONS))
def stage(
    request: pytest.FixtureRequest,
    use: UsePlace,
    timed_server: tuple[EmbeddedServer, ServerClock],
) -> Iterator[Stage]:
    server, clock = timed_server
    place = use(server.url)
    with place.client() as client:
        stage = Stage(client, clock, place.prefix, ALL_CONFIGURATIONS[request.param])
        yield stage
        stage.close()


def replay(stage: Stage, traces: Iterable[Trace]) -> int:
    """Replay each trace, and report where the two differ. Returns the number of steps."""
    steps = 0
    for trace in traces:
        stage.begin()
        state = Model(stage.terms)
        for place, label in enumerate(trace):
            after = state.after(label)
            try:
                stage.step(label, state, after)
            except AssertionError as error:
                way = "\n".join(" ".join(map(str, one)) for one in trace[: place + 1])
                raise AssertionError(f"the server does otherwise after\n{way}\n{error}") from error
            state, steps = after, steps + 1
        for process in stage.processes:
            assert process.recorder.received.empty(), "a turn that the model does not know"
    print(f"{steps:,} steps")  # noqa: T201 - the size of the replay
    return steps


@pytest.mark.timeout(300)
def test_all_short_traces_replay_alike(stage: Stage) -> None:
    traces = short_traces(stage.terms._replace(faults=1), depth=4)
    assert replay(stage, traces) > len(traces) > 50


@pytest.mark.timeout(300)
def test_long_random_traces_replay_alike(stage: Stage) -> None:
    assert replay(stage, random_traces(stage.terms, 30, 60, seed=8)) > 1000


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stage", ["two in one process"], indirect=True)
def test_the_trace_of_a_silent_process_replays_alike(stage: Stage) -> None:
    """Random traces hardly ever reach it. This trace shows why its guard is needed."""
    guard = "waiters of a silent process queue behind others"
    found = explore(Model(stage.terms._replace(without=frozenset({guard}))))
    assert found.violation
    assert replay(stage, [found.trace]) == len(found.trace)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_more_short_traces_replay_alike(stage: Stage) -> None:
    replay(stage, short_traces(stage.terms, depth=5))


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [16, 17, 18, 19])
def test_more_random_traces_replay_alike(stage: Stage, seed: int) -> None:
    replay(stage, random_traces(stage.terms, 125, 80, seed=seed))


@pytest.mark.parametrize(
    "guard",
    [
        "a hand-over holds for the grant lease only",
        "renewal never shortens a lease",
        "cancel marks late claims",
    ],
)
@pytest.mark.parametrize("stage", ["mutex"], indirect=True)
def test_a_model_that_differs_from_the_server_is_noticed(stage: Stage, guard: str) -> None:
    stage.terms = MUTEX._replace(without=frozenset({guard}), clients=2, names=1, faults=4)
    with pytest.raises(AssertionError, match="the server does otherwise"):
        replay(stage, random_traces(stage.terms, 500, 60, seed=8))
