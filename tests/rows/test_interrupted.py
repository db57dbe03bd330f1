"""Interrupted blocks, which leave no row held."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from django_redislock import lock, lock_backends
from django_redislock.rows.holds import LockedRow, RowBlock, RowHold
from tests.support.interruptions import ctrl_c_in
from tests.support.processes import wait_until

from .bank.models import Vault

pytestmark = pytest.mark.django_db(transaction=True)


def one(vault: Vault) -> Any:
    return vault.locked(lease=2)


def several(vault: Vault) -> Any:
    return Vault.objects.locked([vault], lease=2)


def enter_and_leave(block: Any) -> None:
    with block:
        pass


ONE_OR_SEVERAL = pytest.mark.parametrize("made_by", [one, several])


@ONE_OR_SEVERAL
@pytest.mark.parametrize("place", ["begin", "end"])
def test_an_interrupted_block_releases_its_rows_at_once(
    made_by: Callable[[Vault], Any], place: str
) -> None:
    vault = Vault.objects.create()
    block = made_by(vault)
    with ctrl_c_in((RowHold, place)):
        enter_and_leave(block)
    assert not lock("any").backend.list().total


@ONE_OR_SEVERAL
@pytest.mark.filterwarnings("ignore:.*was dropped without release:ResourceWarning")
def test_a_kept_instance_does_not_keep_its_row_held(made_by: Callable[[Vault], Any]) -> None:
    vault = Vault.objects.create()
    with ctrl_c_in((RowBlock, "_leave")):
        enter_and_leave(made_by(vault))
    gc.collect()  # the exception and the block are dropped; the instance stays
    assert vault.lock_held is None
    vault.save()
    backend = lock("any").backend
    wait_until(lambda: not backend.list().total, within=30, what="the lease has run out")
    with vault.locked() as held:
        vault.save()
        assert vault.fence == held.fence


async def test_a_coroutine_closed_while_it_reads_the_row_leaves_no_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A closed coroutine cannot await anything, so the sweep releases the hold."""

    async def forever(*arguments: Any) -> Any:
        await asyncio.Future()

    vault = await Vault.objects.acreate()
    backend = lock_backends["memory"]
    monkeypatch.setattr(LockedRow, "_read", forever)
    monkeypatch.setattr(backend, "arelease", forever)
    block = vault.locked(using="memory", lease=3600)
    entering = block.__aenter__()
    entering.send(None)
    assert backend.list().total == 1
    entering.close()
    del block, entering
    gc.collect()
    await asyncio.to_thread(wait_until, lambda: not backend.list().total)
