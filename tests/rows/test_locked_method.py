"""Locked methods: ``@locked_method`` holds the row and refreshes the instance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from django_redislock import LockableQuerySet, LockNotAcquired, lock
from django_redislock.rows.methods import locked_method

from .bank.models import Account, Card
from .threads import elsewhere

pytestmark = pytest.mark.django_db(transaction=True)


class Till(Account):
    """The accounts, with methods of every kind."""

    class Meta:
        proxy = True
        app_label = "bank"

    @locked_method
    def bare(self) -> int:
        """What it does."""
        return self.balance

    @locked_method()
    def held_by(self) -> str:
        assert self.lock_held is not None
        self.lock_held.check()
        return self.lock_held.name

    @locked_method("own:{self.pk}:{kind}")
    def named(self, kind: str) -> str:
        assert self.lock_held is not None
        return self.lock_held.name

    @locked_method("own:{self.pk}")
    def under_another_lock(self) -> int:
        return self.balance

    @locked_method(wait=0)
    def refused(self) -> None: ...

    @locked_method(wait=0, on_busy="skip", default=-1)
    def skipped(self) -> int:
        return self.balance

    @locked_method(wait=0, on_busy=lambda error, self, amount: (error.name, self.pk, amount))
    def answered(self, amount: int) -> object: ...

    @locked_method(wait=0, on_busy="skip", min_hold=30)
    def once(self) -> str:
        return self.held_by()

    @locked_method(refresh=False)
    def unread(self) -> int:
        return self.balance

    @locked_method(refresh=["note"])
    def read_in_part(self) -> tuple[int, str]:
        return self.balance, self.note

    @locked_method(wait=0)
    def spend(self, amount: int) -> str:
        self.balance -= amount
        self.log(f"spent {amount}")
        self.save()
        assert self.lock_held is not None
        return self.lock_held.token

    @locked_method(wait=0)
    def log(self, note: str) -> None:
        self.note = note

    @locked_method(wait=0)
    async def aspend(self, amount: int) -> str:
        self.balance -= amount
        await self.alog(f"spent {amount}")
        await self.asave()
        assert self.lock_held is not None
        assert await self.lock_held.aowned()
        return self.lock_held.token

    @locked_method(wait=0)
    async def alog(self, note: str) -> None:
        self.note = note

    @locked_method()
    def each(self) -> Iterator[str]:
        for _ in range(2):
            assert self.lock_held is not None
            yield self.lock_held.token

    @locked_method()
    async def aeach(self) -> AsyncIterator[str]:
        for _ in range(2):
            assert self.lock_held is not None
            yield self.lock_held.token


@pytest.fixture
def till() -> Till:
    return Till.objects.create(balance=100, note="new")


@pytest.fixture
def changed(till: Till) -> Till:
    """An instance whose row was written by another program since."""
    Account.objects.filter(pk=till.pk).update(balance=7, note="changed")
    return till


def test_the_decorator_works_without_parentheses(changed: Any) -> None:
    assert changed.bare() == 7
    assert (Till.bare.__name__, Till.bare.__doc__) == ("bare", "What it does.")


def test_the_row_is_held_only_while_the_method_runs(till: Any) -> None:
    assert till.held_by() == till.get_lock_name()
    assert till.lock_held is None
    with lock(till.get_lock_name(), wait=0):
        pass


def test_a_method_may_use_another_name(till: Any) -> None:
    assert till.named("a:b") == f"own:{till.pk}:a%3Ab"


def test_a_method_with_another_lock_reads_the_row_again(till: Any) -> None:
    with till.locked():
        Account.objects.filter(pk=till.pk).update(balance=7)
        assert till.under_another_lock() == 7


def test_a_method_may_refresh_some_fields_or_none(changed: Any) -> None:
    assert changed.unread() == 100
    assert changed.read_in_part() == (100, "changed")


def busy(till: Till, method: str, *args: object) -> object:
    with lock(till.get_lock_name()):
        return elsewhere(lambda: getattr(till, method)(*args))


def test_a_busy_row_raises(till: Any) -> None:
    with pytest.raises(LockNotAcquired):
        busy(till, "refused")


def test_a_busy_row_may_be_skipped_or_answered(till: Any) -> None:
    assert busy(till, "skipped") == -1
    assert till.skipped() == 100
    assert busy(till, "answered", 5) == (till.get_lock_name(), till.pk, 5)


def test_a_nested_locked_method_keeps_unsaved_changes(till: Any) -> None:
    till.spend(30)
    till.refresh_from_db()
    assert (till.balance, till.note) == (70, "spent 30")


def test_a_method_shares_the_hold_of_a_block_or_a_plain_lock(till: Any) -> None:
    with till.locked() as held:
        assert till.spend(30) == held.token
    with lock(till.get_lock_name()) as held:
        assert till.spend(30) == held.token
    till.refresh_from_db()
    assert till.balance == 40


def test_coroutine_methods_hold_the_row(till: Any) -> None:
    async def scenario() -> None:
        await Account.objects.filter(pk=till.pk).aupdate(balance=7)
        await till.aspend(3)
        assert till.lock_held is None
        async with till.locked() as held:
            assert await till.aspend(3) == held.token

    async_to_sync(scenario)()
    till.refresh_from_db()
    assert (till.balance, till.note) == (1, "spent 3")


def test_generator_methods_hold_the_row_until_their_end(till: Any) -> None:
    tokens = set()
    for token in till.each():
        tokens.add(token)
        assert not elsewhere(lambda: lock(till.get_lock_name()).acquire(wait=0))
    assert len(tokens) == 1
    assert till.lock_held is None

    async def scenario() -> int:
        return len({token async for token in till.aeach()})

    assert async_to_sync(scenario)() == 1
    assert till.lock_held is None


def test_the_holder_is_the_method(till: Any) -> None:
    class Looking(Till):
        class Meta:
            proxy = True
            app_label = "bank"

        @locked_method(label="audit")
        def look(self) -> Any:
            (hold,), _ = self.lock_held.backend.inspect(self.lock_held.name)
            return hold.holder

    holder = Looking.objects.get(pk=till.pk).look()
    assert holder.what.endswith("Looking.look")
    assert holder.label == "audit"


def test_options_of_the_method_override_those_of_the_model() -> None:
    class Own(Card):
        class Meta:
            proxy = True
            app_label = "bank"

        @locked_method()
        def usual(self) -> Any:
            return self.lock_held.wait, self.lock_held.holder.label

        @locked_method(wait=5)
        def patient(self) -> Any:
            return self.lock_held.wait, self.lock_held.holder.label

    card = Own.objects.create(number="7")
    assert card.usual() == (0, "cards")
    assert card.patient() == (5, "cards")


def test_a_row_deleted_before_the_grant_does_not_exist(till: Any) -> None:
    Account.objects.all().delete()
    with pytest.raises(Till.DoesNotExist):
        till.bare()
    with lock(till.get_lock_name(), wait=0):
        pass


def test_a_method_of_an_unsaved_instance_is_refused() -> None:
    with pytest.raises(ValueError, match="neither saved nor fetched"):
        Till().bare()


def test_a_method_of_another_class_is_refused() -> None:
    class Thing:
        @locked_method()
        def do(self) -> None: ...

    with pytest.raises(TypeError, match=r"Thing\.do is .* LockableMixin: add it .* write @locked"):
        Thing().do()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda: locked_method(["a", "b"]), "named by a template"),
        (lambda: locked_method(on_busy="ignore"), "on_busy must be"),
        (lambda: locked_method(default=5), "needs on_busy='skip'"),
        (lambda: locked_method(wait=-1), "wait"),
        (lambda: locked_method(waits=1), "There is no option 'waits'"),
        (lambda: locked_method()(Till), "decorates a method"),
        (lambda: locked_method("own:{nobody}")(lambda self: None), "nobody"),
    ],
)
def test_invalid_options_are_refused_when_decorating(arguments: Any, message: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        arguments()


@pytest.mark.parametrize("refresh", ["balance", 5, None])
def test_a_wrong_refresh_is_refused_before_anything_is_locked(till: Till, refresh: Any) -> None:
    for make in (locked_method, till.locked, partial(LockableQuerySet(Till).locked, [till])):
        with pytest.raises(TypeError, match=rf"True, False or a list of names, not {refresh!r}"):
            make(refresh=refresh)


def test_a_method_may_run_once_in_a_period(till: Till) -> None:
    assert till.once() == till.get_lock_name()
    assert till.once() is None
    with pytest.raises(LockNotAcquired), till.locked(wait=0):
        pass
