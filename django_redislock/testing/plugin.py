"""Pytest fixtures. No settings are read before a test uses one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .servers import EmbeddedServer
    from .simulation import HeldElsewhere

__all__ = ["Locks", "held_elsewhere", "locks", "redislock_server"]


class Locks:
    """The locks of a test. They are in memory unless the test overrides that."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def override(self, redis_url: str | None = None, /, **entry: Any) -> None:
        """Use other locks until the end of the test. Arguments as for ``override_locks``."""
        from .override import override_locks

        self._stack.enter_context(override_locks(redis_url, **entry))


@pytest.fixture
def locks() -> Iterator[Locks]:
    """Locks in memory, all free. The test fails if it leaves one held."""
    from .override import LocksLeft

    with ExitStack() as stack:
        locks = Locks(stack)
        locks.override()
        yield locks
        try:
            stack.close()
        except LocksLeft as left:
            pytest.fail(str(left), pytrace=False)


@pytest.fixture
def held_elsewhere(locks: Locks) -> Iterator[Callable[..., HeldElsewhere]]:
    """A function that makes another holder hold a name until the test or a ``with`` block ends."""
    from .simulation import held_elsewhere

    with ExitStack() as stack:

        def hold(name: str, **options: Any) -> HeldElsewhere:
            return stack.enter_context(held_elsewhere(name, **options))

        yield hold


@pytest.fixture(scope="session")
def redislock_server() -> Iterator[EmbeddedServer]:
    """A Redis or Valkey server that only this test run uses."""
    from .servers import EmbeddedServer

    with EmbeddedServer() as server:
        yield server
