"""Autocommit off: a hold lasts until the commit, the rollback or the end of the connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connection, connections, transaction

from django_redislock import lock
from tests.known_faults.witness import Witness

pytestmark = pytest.mark.django_db(transaction=True)

ENDS = [
    transaction.commit,
    transaction.rollback,
    lambda: transaction.set_autocommit(True),
    connections.close_all,
]
NAMES = ["commit", "rollback", "autocommit on again", "closed connection"]


@pytest.fixture
def _autocommit_off() -> Iterator[None]:
    transaction.set_autocommit(False)
    yield
    if not connection.get_autocommit():
        transaction.rollback()
        transaction.set_autocommit(True)


@pytest.mark.usefixtures("_autocommit_off")
@pytest.mark.parametrize("end", ENDS, ids=NAMES)
def test_a_hold_lasts_until_the_transaction_ends(
    witness: Witness, end: Callable[[], object]
) -> None:
    with lock("a") as held:
        pass
    assert witness.tokens("a") == [held.token]
    end()
    witness.wait_until_free("a")


@pytest.mark.usefixtures("_autocommit_off")
def test_a_hold_lasts_until_the_next_transaction_ends(witness: Witness) -> None:
    """After a commit, the database begins another transaction by itself."""
    transaction.commit()
    with lock("a") as held:
        pass
    assert witness.tokens("a") == [held.token]
    transaction.commit()
    witness.wait_until_free("a")


@pytest.mark.usefixtures("_autocommit_off")
def test_switching_autocommit_off_again_does_not_end_the_hold(witness: Witness) -> None:
    with lock("a") as held:
        pass
    transaction.set_autocommit(False)
    assert witness.tokens("a") == [held.token]


@pytest.mark.usefixtures("_autocommit_off")
def test_an_atomic_block_does_not_end_the_hold(witness: Witness) -> None:
    with transaction.atomic():
        with lock("a") as held:
            pass
    assert witness.tokens("a") == [held.token]
    transaction.commit()
    witness.wait_until_free("a")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True, databases=["default", "postgresql"])
def test_a_hold_does_not_outlive_a_connection_that_is_closed_in_atomic(witness: Witness) -> None:
    own = connections["postgresql"]
    own.set_autocommit(False)
    try:
        with transaction.atomic(using="postgresql"):
            with lock("a") as held:
                pass
            assert witness.tokens("a") == [held.token]
            own.close()
        witness.wait_until_free("a")
    finally:
        own.connect()  # with autocommit on, as DATABASES says
