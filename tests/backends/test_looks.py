"""Times at which a waiter of the process looks for itself."""

from __future__ import annotations

from django_redislock.backends.redis.wakeups.looks import ASK_AGAIN, Looks
from django_redislock.backends.waiters import ThreadWaiter, Waiters


def test_a_waiter_of_a_name_that_is_due_is_asked_and_soon_asked_again() -> None:
    looks, waiters, due, later = Looks(), Waiters(60.0), ThreadWaiter(), ThreadWaiter()
    waiters.enter("a", "token", due)
    waiters.enter("b", "token", later)
    looks.update(a=1.0, b=3.0)
    looks.ask(waiters, 1.0)
    assert (due._notified.qsize(), later._notified.qsize()) == (1, 0)
    assert looks == {"a": 1.0 + ASK_AGAIN, "b": 3.0}


def test_looks_for_names_without_waiters_are_removed_all_at_once() -> None:
    """Each granted attempt leaves one, and they must not come due one by one."""
    looks, waiters = Looks(), Waiters(60.0)
    waiters.enter("a", "token", ThreadWaiter())
    looks["a"] = 2000.0
    for number in range(1000):
        looks[f"name:{number}"] = float(number)
    looks.ask(waiters, 0.0)
    assert looks.earliest() == 2000.0


def test_an_attempt_that_begins_during_a_look_is_asked_too() -> None:
    class Forgetful(Waiters):
        """Waiters to which one is added right after their names were read."""

        @property
        def names(self) -> list[str]:
            before = super().names
            self.enter("b", "token", ThreadWaiter())
            return before

    looks = Looks()
    looks["a"] = 1.0
    looks["b"] = 60.0
    looks.ask(Forgetful(60.0), 2.0)
    assert looks.earliest() == 2.0
