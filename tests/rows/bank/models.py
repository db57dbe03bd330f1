"""Rows of every shape: plain, fenced, inherited, with keys of several kinds."""

from __future__ import annotations

import uuid

from django.db import models

from django_redislock.rows.fencing import FenceField
from django_redislock.rows.lockable import LockableMixin
from django_redislock.rows.methods import locked_method
from django_redislock.rows.querysets import LockableManager


class Branch(models.Model):
    name = models.CharField(max_length=50, default="")

    def __str__(self) -> str:
        return self.name


class Account(LockableMixin, models.Model):
    """A row without a fence, guarded by `locked()` alone."""

    balance = models.IntegerField(default=0)
    note = models.CharField(max_length=50, default="")
    branch = models.ForeignKey(Branch, on_delete=models.CASCADE, null=True)

    objects = LockableManager()

    def __str__(self) -> str:
        return f"account {self.pk}"

    @locked_method(wait=60)
    def withdraw(self, amount: int) -> int:
        self.balance -= amount
        self.save()
        return self.balance


class Savings(Account):
    """The same rows under another name."""

    class Meta:
        proxy = True


class Vault(LockableMixin, models.Model):
    """A fenced row."""

    gold = models.IntegerField(default=0)
    note = models.CharField(max_length=50, default="")
    fence = FenceField()

    objects = LockableManager()

    def __str__(self) -> str:
        return f"vault {self.pk}"


class Coin(models.Model):
    """Deleted together with its vault."""

    vault = models.ForeignKey(Vault, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return f"coin {self.pk}"


class Guard(models.Model):
    """Keeps its vault from being deleted."""

    vault = models.ForeignKey(Vault, on_delete=models.PROTECT)

    def __str__(self) -> str:
        return f"guard {self.pk}"


class Place(LockableMixin, models.Model):
    """A parent with a fence, and the table of all who inherit from it."""

    name = models.CharField(max_length=50, default="")
    fence = FenceField()

    objects = LockableManager()

    def __str__(self) -> str:
        return self.name


class Restaurant(Place):
    """A child whose primary key is that of its parent."""

    tables = models.IntegerField(default=0)


class Kiosk(Place):
    """A child with a primary key of its own."""

    place = models.OneToOneField(Place, on_delete=models.CASCADE, parent_link=True)
    number = models.AutoField(primary_key=True)


class Building(models.Model):
    """A parent without LockableMixin."""

    name = models.CharField(max_length=50, default="")

    def __str__(self) -> str:
        return self.name


class Shop(LockableMixin, Building):
    """A child that has the fence itself."""

    stock = models.IntegerField(default=0)
    fence = FenceField()

    objects = LockableManager()


class Fenced(LockableMixin, models.Model):
    """An abstract parent with a fence."""

    fence = FenceField()

    objects = LockableManager()

    class Meta:
        abstract = True


class Tent(Fenced):
    """A child that removes the fence."""

    poles = models.IntegerField(default=0)
    fence = None

    def __str__(self) -> str:
        return f"tent {self.pk}"


class Seat(LockableMixin, models.Model):
    """A composite primary key."""

    pk = models.CompositePrimaryKey("row", "number")
    row = models.CharField(max_length=50)
    number = models.IntegerField()
    guest = models.CharField(max_length=50, default="")
    fence = FenceField()

    objects = LockableManager()

    def __str__(self) -> str:
        return f"seat {self.row}{self.number}"


class Ticket(LockableMixin, models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)

    def __str__(self) -> str:
        return str(self.id)


class Page(LockableMixin, models.Model):
    path = models.CharField(max_length=50, primary_key=True)

    def __str__(self) -> str:
        return self.path


class Moment(LockableMixin, models.Model):
    at = models.DateTimeField(primary_key=True)

    def __str__(self) -> str:
        return str(self.at)


class Price(LockableMixin, models.Model):
    amount = models.DecimalField(max_digits=9, decimal_places=2, primary_key=True)

    def __str__(self) -> str:
        return str(self.amount)


class Card(LockableMixin, models.Model):
    """Named by a template, with options of its own."""

    lock_name = "card:{self.number}"
    lock_options = {"wait": 0, "lease": 33, "label": "cards"}

    number = models.CharField(max_length=50, default="")
    fence = FenceField()

    objects = LockableManager()

    def __str__(self) -> str:
        return self.number
