"""Times at which a waiter of the process looks for itself."""

from __future__ import annotations

from django_redislock.backends.redis.wakeups.looks import Looks
from django_redislock.backends.waiters import ThreadWaiter, Waiters


def test_names_that_nobody_waits_for_are_forgotten_all_at_once() -> None:
    """Each attempt that was granted leaves one: they must not be due one by one."""
    looks, waiters = Looks(), Waiters()
    waiters.enter("a", "token", ThreadWaiter())
    looks.set("a", 2000.0)
    for number in range(1000):
        looks.set(f"name:{number}", float(number))
    looks.ask(waiters, 0.0)
    assert looks.earliest() == 2000.0


def test_an_attempt_that_comes_just_then_is_asked() -> None:
    class Forgetful(Waiters):
        """Somebody begins to wait right after it was asked who does."""

        @property
        def names(self) -> list[str]:
            before = super().names
            self.enter("b", "token", ThreadWaiter())
            return before

    looks = Looks()
    looks.set("a", 1.0)
    looks.set("b", 60.0)
    looks.ask(Forgetful(), 2.0)
    assert looks.earliest() == 2.0
