from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from django_redislock.testing.servers import EmbeddedServer
from example_project.demo.site import Site, running_site

from .processes import Demo, environment
from .sites import send

CHARGE_SECONDS = 0.4
REPORT_SECONDS = 4


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Start ``manage.py demo`` with these options, in a temporary folder of its own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    with ExitStack() as stack:

        def start(*options: str, **env: str) -> Demo:
            run = Demo(folder, *options, env=env)
            stack.callback(run.stop)
            return run

        yield start


@pytest.fixture(scope="module")
def redis() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


@pytest.fixture(scope="module")
def running(
    redis: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, EmbeddedServer]]:
    work = {"CHARGE_SECONDS": str(CHARGE_SECONDS), "REPORT_SECONDS": str(REPORT_SECONDS)}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "REDIS_URL"):
            patch.delenv(name, raising=False)
        for name, value in environment(tmp_path_factory.mktemp("site"), work).items():
            patch.setenv(name, value)
        with running_site(2, 0, redis.url) as site:
            yield site, redis


@pytest.fixture
def site(running: tuple[Site, EmbeddedServer]) -> Site:
    """The site, with five tickets of each event on sale and no buyers."""
    site, redis = running
    redis.start()
    assert send(site, tickets=5, buyers=0) == 200
    return site
