"""Primaries that Sentinels name. The Sentinels are asked again for each connection."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool

from ....clock import monotonic
from .deadlines import limit
from .hooks import with_hooks

__all__ = ["Sentinels", "timeout_of"]

Address: TypeAlias = "tuple[str, int]"

TIMES = ("socket_timeout", "socket_connect_timeout")


def timeout_of(kwargs: Mapping[str, Any], name: str, default: float) -> float:
    """Return a time-out of the settings (seconds). Raises ``ValueError``."""
    value = kwargs.get(name)
    with suppress(TypeError, ValueError):
        timeout = float(default if value is None else value)
        if 0 < timeout < math.inf:
            return timeout
    raise ValueError(f"{name} must be a number of seconds above 0, not {value!r}")


class Primary:
    """Used as the pool of redis-py's connection to a primary."""

    is_master = True
    check_connection = False

    def __init__(self, service_name: str, get_master_address: Callable[[], Any]) -> None:
        self.service_name = service_name
        self.get_master_address = get_master_address


class Sentinels:
    """The Sentinels of a pool, which are asked for the primary even if the pool is for reading.

    A replica is too far behind for locks. Each Sentinel is asked once: redis-py would ask one that
    is down repeatedly, with pauses of several seconds in total.
    """

    def __init__(self, pool: SentinelConnectionPool, timeout: float) -> None:
        self._pool = pool
        self._manager: Any = pool.sentinel_manager
        self._kwargs = with_hooks(self._manager.sentinel_kwargs)
        self._times = {name: timeout_of(self._kwargs, name, timeout) for name in TIMES}
        known = [one.connection_pool.connection_kwargs for one in self._manager.sentinels]
        # In the order in which they are asked: the one that answered last is the first.
        self._addresses = [(one["host"], one["port"]) for one in known]
        self._answered: Address | None = None

    def primary(self, deadline: float) -> Any:
        """Return what a connection asks for the address of the primary by ``deadline``."""
        if type(self._manager) is not Sentinel:
            return self._pool.connection_kwargs["connection_pool"]
        return Primary(self._pool.service_name, partial(self._ask, deadline))

    def doubt(self) -> None:
        """Ask the one that answered last after the others, because it has named a replica.

        Several connections to the replica may note the same.
        """
        answered = self._answered
        self._addresses = sorted(self._addresses, key=lambda one: one == answered)

    def _ask(self, deadline: float) -> Address:
        failure: Exception = MasterNotFoundError(f"No master found for {self._pool.service_name!r}")
        for address, until in self._in_turn(deadline):
            kwargs = self._kwargs | self._times | {"retry": Retry(NoBackoff(), 0)}
            sentinel = Sentinel([address], sentinel_kwargs=kwargs, **self._conditions())
            pool: Any = sentinel.sentinels[0].connection_pool
            pool.connection_class = _with_deadline(pool.connection_class, until)
            try:
                primary: Address = sentinel.discover_master(self._pool.service_name)
            except (MasterNotFoundError, OSError) as error:
                failure = error
            else:
                self._has_answered(address)
                return primary
            finally:
                pool.disconnect()
        raise failure

    def _in_turn(self, deadline: float) -> Iterator[tuple[Address, float]]:
        """Yield each address, and when its time is over (monotonic).

        One that hangs takes half of the time that is left, so that others can still answer.
        """
        addresses = self._addresses
        for address in addresses:
            is_last = address == addresses[-1]
            yield address, deadline if is_last else (deadline + monotonic()) / 2

    def _has_answered(self, address: Address) -> None:
        self._answered = address
        self._addresses = sorted(self._addresses, key=lambda one: one != address)

    def _conditions(self) -> dict[str, Any]:
        conditions = {"min_other_sentinels": self._manager.min_other_sentinels}
        # An address that replaces the one from the Sentinels. Older releases of redis-py lack it.
        forced = getattr(self._manager, "_force_master_ip", None)
        return conditions | ({"force_master_ip": forced} if forced else {})


def _with_deadline(made_by: Any, deadline: float) -> Callable[..., Any]:
    """Return what makes a pool's connections, with a deadline."""

    def make(**kwargs: Any) -> Any:
        connection = made_by(**kwargs)
        limit(connection, deadline)
        return connection

    return make
