"""Mistakes that only show under load are named while the code is being written."""

from __future__ import annotations

import warnings

import pytest
from django.db import transaction

from django_redislock import lock
from django_redislock.exceptions import LockMisuse


@pytest.fixture(autouse=True)
def _debug(settings):
    settings.DEBUG = True


def test_the_same_name_twice_in_one_context():
    with lock("twice"), pytest.warns(LockMisuse, match="waits for itself.*reentrant=True"):
        assert not lock("twice").acquire(wait=0.01)


def test_to_ask_without_waiting_is_no_mistake():
    with lock("twice"):
        assert not lock("twice").acquire(wait=0)


def test_two_names_in_opposite_orders_with_both_places():
    with lock("one"), lock("other"):
        pass
    with pytest.warns(LockMisuse, match="opposite order") as told, lock("other"), lock("one"):
        pass
    (warning,) = told
    assert str(warning.message).count("test_misuse.py:") == 2
    assert warning.filename == __file__


def test_the_same_order_and_one_list_are_no_mistake():
    for _ in range(2):
        with lock("a"), lock("b"):
            pass
        with lock(["b", "a"]):
            pass


@pytest.mark.django_db(transaction=True)
def test_a_wait_inside_atomic():
    with transaction.atomic(), pytest.warns(LockMisuse, match=r"open atomic\(\).*'default'"):
        with lock("row"):
            pass


@pytest.mark.django_db
def test_the_transaction_of_testcase_is_no_mistake():
    with lock("row"):
        pass


def test_it_is_off_without_debug_and_on_by_choice(settings):
    settings.DEBUG = False
    with warnings.catch_warnings(), lock("twice"):
        warnings.simplefilter("error")
        assert not lock("twice").acquire(wait=0.01)
    locks = {alias: dict(entry) for alias, entry in settings.LOCKS.items()}
    locks["default"]["WARN_OF_MISUSE"] = True
    settings.LOCKS = locks
    with lock("twice"), pytest.warns(LockMisuse):
        assert not lock("twice").acquire(wait=0.01)
