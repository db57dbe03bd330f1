from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .processes import Demo


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
