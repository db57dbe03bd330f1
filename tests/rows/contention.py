"""Jobs of processes that share rows."""

from __future__ import annotations

from threading import Barrier

from django.db import connections, transaction

from tests.support.places import Place

from .bank.models import Account, Vault


def use(place: Place, database: dict[str, object]) -> None:
    """Use the locks and the database of the test."""
    place.use()
    connections.databases["postgresql"] |= database


def withdraw(
    place: Place,
    database: dict[str, object],
    pk: int,
    times: int,
    locked: bool,
    together: Barrier | None = None,
) -> None:
    """Withdraw again and again. With `together`, all processes start at the same time."""
    use(place, database)
    account = Account.objects.using("postgresql").get(pk=pk)
    if together is not None:
        together.wait(60)
    for _ in range(times):
        if locked:
            account.withdraw(1)
        else:
            account.refresh_from_db()
            account.balance -= 1
            account.save()


def move(place: Place, database: dict[str, object], source: int, target: int, times: int) -> None:
    """Move gold, one piece per transaction."""
    use(place, database)
    for _ in range(times):
        with Vault.objects.using("postgresql").locked([source, target], wait=60) as vaults:
            with transaction.atomic(using="postgresql"):
                giver, taker = vaults
                giver.gold -= 1
                taker.gold += 1
                giver.save()
                taker.save()
