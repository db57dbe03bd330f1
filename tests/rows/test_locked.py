"""Locked instances: ``instance.locked()`` holds one row and refreshes the instance."""

# ruff: noqa: DJ008 - the models of single tests are never shown

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from django_redislock import LockNotAcquired, lock
from tests.support.processes import wait_until

from .bank.models import Account, Branch, Card, Ticket
from .threads import elsewhere, start

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account() -> Account:
    return Account.objects.create(balance=100, note="new")


def change(account: Account, **values: object) -> None:
    """Write the row without the lock, as another program would."""
    Account.objects.filter(pk=account.pk).update(**values)


def test_the_instance_is_refreshed_and_stays_the_same_object(account: Account) -> None:
    change(account, balance=7)
    with account.locked() as held:
        assert held.name == f"bank.account:{account.pk}"
        assert held.owned()
        assert account.balance == 7
        assert account.lock_held is held
    assert account.lock_held is None
    assert not held.owned()


def test_the_row_is_read_only_when_it_is_held(account: Account) -> None:
    with lock(account.get_lock_name()) as held:
        other = Account.objects.get(pk=account.pk)
        reading = start(lambda: _balance_under_lock(other))
        wait_until(lambda: held.backend.inspect(held.name)[1], what="it waits")
        change(account, balance=7)
    assert reading.result(40) == 7


def _balance_under_lock(account: Account) -> int:
    with account.locked(wait=30):
        return account.balance


def test_a_coroutine_holds_and_refreshes_the_row(account: Account) -> None:
    async def scenario() -> None:
        await Account.objects.filter(pk=account.pk).aupdate(balance=7)
        async with account.locked() as held:
            assert account.balance == 7
            assert account.lock_held is held
            assert await held.aowned()
        assert account.lock_held is None
        assert not await held.aowned()

    async_to_sync(scenario)()


def test_a_busy_row_raises_and_leaves_no_trace(account: Account) -> None:
    with account.locked():
        other = Account.objects.get(pk=account.pk)
        with pytest.raises(LockNotAcquired) as busy:
            elsewhere(lambda: other.locked(wait=0).__enter__())
        assert busy.value.name == account.get_lock_name()
        assert other.lock_held is None


def test_a_row_deleted_before_the_grant_does_not_exist(account: Account) -> None:
    Account.objects.filter(pk=account.pk).delete()
    with pytest.raises(Account.DoesNotExist):
        with account.locked():
            pass
    assert account.lock_held is None
    name = account.get_lock_name()
    assert lock(name).backend.inspect(name) == ([], [])


@pytest.mark.parametrize("new", [Account(balance=1), Account(pk=5), Ticket()])
def test_an_unsaved_instance_cannot_be_locked(new: Any) -> None:
    with pytest.raises(ValueError, match="neither saved nor fetched"):
        new.locked()


def test_a_deleted_instance_cannot_be_locked(account: Account) -> None:
    account.delete()
    with pytest.raises(ValueError, match="no row to lock"):
        account.locked()


def test_only_the_given_fields_are_refreshed(account: Account) -> None:
    change(account, balance=7, note="changed")
    with account.locked(refresh=["balance"]):
        assert (account.balance, account.note) == (7, "new")


class Tracked(Account):
    """Looks for the names of the fields among the keywords, as model trackers do."""

    class Meta:
        proxy = True
        app_label = "bank"

    def refresh_from_db(self, **kwargs: Any) -> None:
        self.read = kwargs["fields"]
        super().refresh_from_db(**kwargs)


def test_a_model_may_override_how_it_is_refreshed(account: Account) -> None:
    tracked: Any = Tracked.objects.get(pk=account.pk)
    with tracked.locked(refresh=["balance"]):
        assert tracked.read == ["balance"]

    async def scenario() -> None:
        async with tracked.locked():
            assert tracked.read is None

    async_to_sync(scenario)()


def test_a_string_instead_of_a_list_of_fields_is_refused(account: Account) -> None:
    with pytest.raises(TypeError, match="a list of names, not 'balance'"):
        with account.locked(refresh="balance"):
            pass
    with lock(account.get_lock_name(), wait=0):
        pass


def test_nothing_is_refreshed_with_refresh_false(
    account: Account, django_assert_num_queries: Any
) -> None:
    change(account, balance=7)
    with django_assert_num_queries(0), account.locked(refresh=False):
        assert account.balance == 100


def test_deferred_fields_stay_deferred(account: Account, django_assert_num_queries: Any) -> None:
    partly = Account.objects.only("balance").get(pk=account.pk)
    change(account, balance=7)
    with django_assert_num_queries(1), partly.locked():
        assert partly.balance == 7
        assert partly.get_deferred_fields() == {"note", "branch_id"}


def test_relations_are_read_again(account: Account) -> None:
    account.branch = Branch.objects.create(name="old")
    account.save()
    Branch.objects.update(name="moved")
    with account.locked():
        assert account.branch.name == "moved"


def test_a_nested_block_shares_the_hold_and_keeps_unsaved_changes(account: Account) -> None:
    with account.locked() as outer:
        account.balance = 55
        with account.locked() as inner:
            assert inner.token == outer.token
            assert account.balance == 55
            assert account.lock_held is inner
        assert account.lock_held is outer
        assert outer.owned()


def test_a_nested_block_reads_fields_that_the_outer_one_did_not(account: Account) -> None:
    change(account, balance=7, note="changed")
    with account.locked(refresh=["balance"]):
        account.balance = 55
        with account.locked(refresh=["balance"]):
            assert account.balance == 55
        with account.locked(refresh=["note"]):
            assert (account.balance, account.note) == (55, "changed")
    with account.locked(refresh=False):
        account.balance = 55
        with account.locked():
            assert account.balance == 7


def test_another_instance_of_the_row_is_refreshed_by_its_own_block(account: Account) -> None:
    other = Account.objects.get(pk=account.pk)
    with account.locked():
        change(account, balance=7)
        assert other.lock_held is None
        with other.locked():
            assert other.balance == 7


def test_a_block_may_be_not_reentrant(account: Account) -> None:
    with account.locked(), pytest.raises(LockNotAcquired):
        with account.locked(wait=0.01, reentrant=False):
            pass


def test_two_tasks_with_one_instance_end_their_own_blocks(account: Account) -> None:
    async def scenario() -> None:
        first, second = account.locked(shared=True), account.locked(shared=True)
        first_hold = await first.__aenter__()
        second_hold = await second.__aenter__()
        await first.__aexit__(None, None, None)
        assert account.lock_held is second_hold
        assert first_hold is not second_hold
        await second.__aexit__(None, None, None)
        assert account.lock_held is None

    async_to_sync(scenario)()


def test_copies_are_not_held(account: Account) -> None:
    with account.locked():
        assert pickle.loads(pickle.dumps(account)).lock_held is None  # noqa: S301 - our own bytes
        assert copy.copy(account).lock_held is None
        assert copy.deepcopy(account).lock_held is None
        assert account.lock_held is not None


@pytest.mark.parametrize("options", [{}, {"what": None}], ids=["default", "None"])
def test_the_holder_is_the_caller(account: Account, options: Any) -> None:
    with account.locked(label="audit", **options) as held:
        (hold,), _ = held.backend.inspect(held.name)
    assert hold.holder.what.endswith("test_the_holder_is_the_caller")
    assert hold.holder.label == "audit"


def test_options_of_the_call_override_those_of_the_model() -> None:
    card = Card.objects.create(number="4:2")
    with card.locked(label=None) as held:
        assert held.name == "card:4%3A2"
        assert held.wait == 0
        assert 20 < held.remaining() <= 33
        assert held.holder.label == "cards"
    with card.locked(lease=300, label="mine") as held:
        assert held.remaining() > 200
        assert (held.wait, held.holder.label) == (0, "mine")


def test_a_block_can_be_entered_again(account: Account) -> None:
    block = account.locked()
    with block as first:
        fence = first.fence
    with block as second:
        assert second.fence > fence


def test_the_error_of_the_body_is_raised(account: Account) -> None:
    with pytest.raises(ZeroDivisionError), account.locked() as held:
        raise ZeroDivisionError
    assert not held.owned()
    assert account.lock_held is None


def test_the_mixin_has_to_come_first() -> None:
    from django.db import models

    from django_redislock.rows.lockable import LockableMixin

    with pytest.raises(TypeError, match="goes before models"):

        class Wrong(models.Model, LockableMixin):  # type: ignore[misc]
            class Meta:
                app_label = "bank"


@pytest.mark.django_db
def test_a_row_is_not_held_by_the_token_of_another_handle() -> None:
    account = Account.objects.create()
    for block in (account.locked, partial(Account.objects.locked, [account.pk])):
        with pytest.raises(TypeError, match=r"no option 'token'.*get_lock_name\(\), token="):
            with block(token="t"):  # type: ignore[operator]
                pass
