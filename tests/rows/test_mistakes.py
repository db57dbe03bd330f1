"""Wrong arguments and places of the locks of rows, whose errors say what to write instead."""

from __future__ import annotations

from functools import cached_property, wraps
from typing import Any

import pytest
from django.db import models

from django_redislock import LockableMixin, lock, locked_method

from .bank.models import Account


@pytest.fixture
def account() -> Account:
    account = Account(pk=7)
    account._state.adding = False
    return account


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "x"}, r"lock_name of its model. For another name, write lock\(name\)"),
        ({"wiat": 5}, "Did you mean 'wait'"),
        ({"refresg": False}, "Did you mean 'refresh'"),
        ({"timeout": 5}, "write lease= .* or wait="),
        ({"nowait": True}, "write wait=0"),
        ({"skip_locked": True}, "write wait=0, which raises LockNotAcquired"),
        ({"colour": 1}, "The options are refresh, using, .*, what\\.$"),
        ({"label": print}, "label must be a string"),
    ],
    ids=str,
)
def test_unknown_options_of_rows_are_refused_before_the_block(
    account: Account, options: Any, says: str
) -> None:
    objects: Any = Account.objects
    for locked in (account.locked, objects.all().locked):
        with pytest.raises(TypeError, match=says):
            locked(**options)
    with pytest.raises(TypeError, match=says):
        objects.locked([], **options)


def test_wrong_values_are_refused_before_the_block(account: Account) -> None:
    for locked in (account.locked, Account.objects.all().locked):
        with pytest.raises(ValueError, match="wait must be 0 or more seconds"):
            locked(wait=-1)


def test_the_error_for_an_instance_in_place_of_a_name_says_what_to_write(account: Any) -> None:
    with pytest.raises(TypeError, match=r"To hold a row, write instance\.locked\(\)"):
        lock(account)
    with pytest.raises(TypeError, match=r"write its get_lock_name\(\)"):
        lock([account])


def model_with(method: Any) -> type[LockableMixin]:
    class Purse(LockableMixin, models.Model):
        pay = method

        class Meta:
            abstract = True
            app_label = "bank"

    return Purse


def pay(self: Any) -> None: ...


def logged(function: Any) -> Any:
    """A decorator of the project's own."""

    @wraps(function)
    def call(*args: Any) -> Any:
        return function(*args)

    return call


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_a_locked_method_needs_an_instance(kind: Any) -> None:
    for decorate in (locked_method, locked_method(wait=5)):
        with pytest.raises(TypeError, match=rf"above a {kind.__name__}.* Write @locked\(name\)"):
            decorate(kind(pay))
        for method in (decorate(pay), logged(decorate(pay))):
            with pytest.raises(
                TypeError, match=rf"Purse\.pay is a locked {kind.__name__}.* @locked"
            ):
                model_with(kind(method))


def test_a_locked_method_of_a_plain_base_needs_an_instance() -> None:
    class Paying:
        pay = staticmethod(locked_method(pay))

    with pytest.raises(TypeError, match=r"Purse\.pay is a locked staticmethod"):

        class Purse(Paying, LockableMixin, models.Model):
            class Meta:
                abstract = True


@pytest.mark.parametrize("kind", [property, cached_property])
def test_locked_method_goes_below_a_property(kind: Any) -> None:
    for decorate in (locked_method, locked_method(wait=5)):
        with pytest.raises(TypeError, match=r"not <.*property .*below other decorators"):
            decorate(kind(pay))
        assert model_with(kind(decorate(pay)))


def test_the_name_of_a_locked_method_may_be_a_keyword(account: Any) -> None:
    assert locked_method(name="own:{self.pk}")(pay)


@pytest.mark.parametrize("attribute", ["get", "first", "save", "acquire", "balance"])
def test_what_locked_returns_is_a_block(account: Account, attribute: str) -> None:
    for block in (account.locked(), Account.objects.locked([7]), Account.objects.all().locked()):
        with pytest.raises(AttributeError, match=rf"'{attribute}'.*Write `with .* as held:`"):
            getattr(block, attribute)
