"""Server with a clock for the replay, and assertion details for its adapter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_redislock.testing.servers import EmbeddedServer

pytest.register_assert_rewrite("tests.models.replay.stage")

from tests.support.server_clock import START, ServerClock, server_with_clock  # noqa: E402


@pytest.fixture(scope="session")
def timed_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[EmbeddedServer, ServerClock]]:
    server, clock = server_with_clock(tmp_path_factory.mktemp("clock"))
    with server:
        clock.set(START)
        yield server, clock
