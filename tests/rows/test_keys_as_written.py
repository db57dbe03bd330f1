"""Primary keys in other forms than those of the database: as strings, or in lists."""

from __future__ import annotations

import pytest

from django_redislock import LockLost
from django_redislock.rows.querysets import LockableQuerySet

from .bank.models import Account, Branch, Page, Seat
from .threads import next_holder_writes, stored, take_over

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def seat() -> Seat:
    return Seat.objects.create(row="A", number="1")


@pytest.mark.parametrize("refresh", [True, False, ["guest"]], ids=str)
def test_a_saved_row_has_the_fence_of_the_hold(seat: Seat, refresh: bool | list[str]) -> None:
    with seat.locked(refresh=refresh) as held:
        if not refresh:
            seat.refresh_from_db()
        seat.guest = "Ada"
        seat.save()
    assert stored(seat).fence == held.fence


def test_a_stale_holder_is_refused(seat: Seat) -> None:
    with pytest.raises(LockLost, match="a later holder has written"):
        with seat.locked() as held:
            take_over(held, lambda: next_holder_writes(stored(seat), guest="Bob"))
            seat.guest = "Ada"
            seat.save()
    assert stored(seat).guest == "Bob"


def test_a_stale_holder_is_refused_in_bulk(seat: Seat) -> None:
    with pytest.raises(LockLost, match="a later holder has written"):
        with seat.locked(refresh=False) as held:
            take_over(held, lambda: next_holder_writes(stored(seat), guest="Bob"))
            Seat.objects.fenced([seat]).update(guest="Ada")
    assert stored(seat).guest == "Bob"


@pytest.mark.parametrize("pk", [("A", 1), ("A", "1"), ["A", 1]], ids=str)
def test_a_row_is_found_by_any_form_of_its_key(seat: Seat, pk: object) -> None:
    with Seat.objects.locked([pk]) as (found,):
        assert found == stored(seat)


@pytest.mark.mariadb
@pytest.mark.django_db(transaction=True, databases=["default", "mariadb"])
@pytest.mark.parametrize("pk", ["HOME", "home "])
def test_the_database_decides_which_keys_are_equal(pk: str) -> None:
    home = Page.objects.using("mariadb").create(path="home")
    rows = LockableQuerySet(Page, using="mariadb")
    assert rows.get(pk=pk) == home
    with rows.locked([pk, "home"]) as found:
        assert found == [home, home]
        assert found[0].lock_held.name == home.get_lock_name()
    with pytest.raises(Page.DoesNotExist, match="nowhere"):
        rows.locked([pk, "nowhere"]).__enter__()


def test_an_instance_given_twice_is_one_row(seat: Seat) -> None:
    with Seat.objects.locked([seat, seat]) as (one, other):
        assert one is other is seat
    assert seat.number == 1


@pytest.mark.parametrize("stranger", [Branch, Page], ids=lambda model: model.__name__)
def test_rows_of_another_model_are_refused(stranger: type) -> None:
    row = stranger.objects.create()
    with pytest.raises(TypeError, match="is not a row of Account"):
        Account.objects.locked([row]).__enter__()
    with pytest.raises(TypeError, match=f"queryset of {stranger.__name__} has no rows of Account"):
        Account.objects.locked(stranger.objects.all())
