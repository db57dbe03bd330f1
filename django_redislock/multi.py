"""Several names as one lock, taken in one order, so that two who want the same never deadlock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic

from .conf import Duration, seconds
from .exceptions import LockError, LockNotAcquired
from .faces import TwoFaced
from .lock import Lock
from .steps import Steps

__all__ = ["MultiLock"]


class MultiLock(TwoFaced):
    """A handle over several handles: all are held, or none. Made by ``lock([...])``.

    The names are taken in sorted order and released in reverse; the wait is for all together. What
    goes wrong with one of them does not keep the others from being released.
    """

    def __init__(self, locks: Sequence[Lock], wait: float) -> None:
        self.locks = tuple(locks)
        self.wait = wait
        self._failed: Lock | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order in which they are taken."""
        return tuple(lock.name for lock in self.locks)

    @property
    def fences(self) -> dict[str, int]:
        """The fence of each name."""
        return {lock.name: lock.fence for lock in self.locks}

    @property
    def tokens(self) -> dict[str, str]:
        """The token of each name."""
        return {lock.name: lock.token for lock in self.locks}

    @property
    def held(self) -> bool:
        """Whether every name is held, by the handles' own clocks."""
        return all(lock.held for lock in self.locks)

    def remaining(self) -> float:
        """Seconds until the first lease ends, by the handles' own clocks."""
        return min(lock.remaining() for lock in self.locks)

    def check(self) -> None:
        """Raise ``LockLost`` unless every name is held. Asks nobody."""
        for lock in self.locks:
            lock.check()

    def __repr__(self) -> str:
        return f"<MultiLock {', '.join(map(repr, self.names))}>"

    def acquiring(self, wait: Duration | None) -> Steps[bool]:
        patience = self.wait if wait is None else seconds(wait, "wait", endless=True)
        deadline = monotonic() + patience
        if any(lock.held for lock in self.locks):
            raise LockError(f"{self!r} is held already. Release it first.", name=self.names[0])
        self._failed = None
        try:
            for lock in self.locks:
                acquired = yield from lock.acquiring(max(0.0, deadline - monotonic()))
                if not acquired:
                    self._failed = lock
                    break
            else:
                return True
        except BaseException as error:
            yield from self.leaving(error)
            raise
        yield from self.leaving(None)
        return False

    def releasing(self) -> Steps[None]:
        yield from _all_of(lock.releasing() for lock in reversed(self.locks))

    def extending(self, lease: Duration | None) -> Steps[None]:
        yield from _all_of(lock.extending(lease) for lock in self.locks)

    def leaving(self, error: BaseException | None) -> Steps[None]:
        yield from _all_of(lock.leaving(error) for lock in reversed(self.locks))

    def busy_error(self, wait: float) -> LockNotAcquired:
        return (self._failed or self.locks[0]).busy_error(wait)


def _all_of(parts: Iterable[Steps[None]]) -> Steps[None]:
    """Carry out all parts, whatever goes wrong with one; what did is raised at the end."""
    errors: list[BaseException] = []
    for part in parts:
        try:
            yield from part
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)
    # An interrupt tells more than a lock that was lost.
    errors.sort(key=lambda error: isinstance(error, LockError))
    if errors:
        raise errors[0]
