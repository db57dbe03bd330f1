"""Models of the victim: rows with and without a fence, and a record of each write."""

from __future__ import annotations

from django.db import models

from django_redislock.rows.fencing import FenceField
from django_redislock.rows.lockable import LockableMixin
from django_redislock.rows.querysets import LockableManager


class FencedCounter(LockableMixin, models.Model):
    name = models.CharField(max_length=50, primary_key=True)
    value = models.IntegerField(default=0)
    writer = models.CharField(max_length=50)
    fence = FenceField()

    objects = LockableManager()

    def __str__(self) -> str:
        return self.name


class UnfencedCounter(models.Model):
    name = models.CharField(max_length=50, primary_key=True)
    value = models.IntegerField(default=0)
    writer = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Write(models.Model):
    """A committed write: its token, its fence, and the token of the write before it."""

    name = models.CharField(max_length=50)
    token = models.CharField(max_length=50)
    fence = models.BigIntegerField()
    before = models.CharField(max_length=50)

    def __str__(self) -> str:
        return f"{self.name}: {self.token} after {self.before}"
