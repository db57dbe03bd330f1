"""Base of the exporters of figures: receivers of the signals."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..figures.families import OTHER, family_of
from ..figures.tallies import MOST_FAMILIES
from ..handler import lock_backends
from ..local.registry import registry
from ..signals import Listener

__all__ = ["Exporter"]


class Exporter(Listener):
    """Base class of the exporters, which get the events of this process by alias and family."""

    def __init__(self) -> None:
        self._families: set[str] = set()

    @abstractmethod
    def acquired(self, alias: str, family: str, waited: float) -> None: ...

    @abstractmethod
    def busy(self, alias: str, family: str) -> None: ...

    @abstractmethod
    def released(self, alias: str, family: str, held: float) -> None: ...

    @abstractmethod
    def lost(self, alias: str, family: str) -> None: ...

    def held(self) -> Mapping[tuple[str, str], int]:
        """Return how many holds this process has, by alias and family."""
        return Counter(
            (hold.backend.alias, self._bounded(family_of(hold.name)))
            for hold in list(registry.holds)
        )

    def waiting(self) -> Mapping[tuple[str, str], int]:
        """Return how many attempts of this process wait in a queue, by alias and family."""
        return Counter(
            (backend.alias, self._bounded(family_of(name)))
            for backend in lock_backends.all(initialized_only=True)
            for name in backend.waiters.names
        )

    def _bounded(self, family: str) -> str:
        """Return the family, or for those beyond the maximum one that no name has."""
        known = self._families
        if len(known) < MOST_FAMILIES:
            known.add(family)
        return family if family in known else OTHER

    def _of(self, lock: Any) -> tuple[str, str]:
        return lock.backend.alias, self._bounded(lock.family)

    def _acquired(self, *, lock: Any, waited: float, **kwargs: Any) -> None:
        self.acquired(*self._of(lock), waited)

    def _contended(self, *, lock: Any, acquired: bool, **kwargs: Any) -> None:
        if not acquired:
            self.busy(*self._of(lock))

    def _released(self, *, lock: Any, held: float | None, **kwargs: Any) -> None:
        if held is not None:
            self.released(*self._of(lock), held)

    def _lost(self, *, lock: Any, **kwargs: Any) -> None:
        self.lost(*self._of(lock))
