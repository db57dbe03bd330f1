"""Witness: the view that another process has of the locks under test."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from django_redislock import Lock, LockError, lock, lock_backends
from tests.support.places import Place
from tests.support.processes import WITHIN, wait_until

if TYPE_CHECKING:
    from django_redislock.backends.base import Hold

ALIAS = "witness"


class Witness:
    """A second alias for the same locks, with its own connections, waiters and handles."""

    def teach(self) -> Witness:
        """Send all scripts to the server, since an unknown one costs another round trip."""
        with self.lock("taught") as held:
            held.extend()
            self.lock("taught").acquire(wait=0.01)
        self.holds("taught")
        return self

    @staticmethod
    def settings(place: Place, default: Place | None = None) -> dict[str, Any]:
        """CACHES and LOCKS with the witness at the place. `default` may take another way there."""
        both = (default or place).settings()
        own = Place(f"{place.url}?client_name={ALIAS}", place.prefix).settings()
        both["CACHES"][ALIAS] = own["CACHES"]["default"]
        both["LOCKS"][ALIAS] = {**own["LOCKS"]["default"], "CACHE": ALIAS}
        return both

    def lock(self, name: str, **options: Any) -> Lock:
        return lock(name, using=ALIAS, **options)

    def holds(self, name: str) -> list[Hold]:
        return list(lock_backends[ALIAS].inspect(name)[0])

    def tokens(self, name: str) -> list[str]:
        return [hold.token for hold in self.holds(name)]

    def queue(self, name: str) -> list[str]:
        return [one.token for one in lock_backends[ALIAS].inspect(name)[1]]

    def names(self) -> set[str]:
        """All names that are held."""
        return {entry.name for entry in lock_backends[ALIAS].entries(0, 100_000).entries}

    def wait_until_free(self, name: str, within: float = WITHIN) -> None:
        wait_until(lambda: not self.holds(name), within=within, what=f"{name} is free")

    def wait_until_queued(self, name: str, number: int = 1) -> None:
        wait_until(lambda: len(self.queue(name)) >= number, what=f"{name} has {number} waiters")


def put(settings: Any, values: dict[str, Any]) -> None:
    """Change settings of the fixture until the end of the test."""
    for setting, value in values.items():
        setattr(settings, setting, value)


def give_up(handle: Lock) -> None:
    """Release a handle, ignoring errors."""
    with contextlib.suppress(LockError):
        handle.release()


def in_thread(target: Any, *args: Any) -> threading.Thread:
    """Start a thread that does not keep a failed test from ending."""
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread
