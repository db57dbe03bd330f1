"""Model behind the admin page: it has a content type and permissions, but no table."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

__all__ = ["Lock"]


class NoRows(models.Manager["Lock"]):
    """Live locks are in a backend. A query of the database, as by ``dumpdata``, finds none."""

    def get_queryset(self) -> models.QuerySet[Lock]:
        return super().get_queryset().none()


class Lock(models.Model):
    """A live lock in the admin. Not the handle that ``lock()`` returns."""

    name = models.TextField(_("name"), primary_key=True)

    objects = NoRows()

    class Meta:
        managed = False
        base_manager_name = "objects"
        verbose_name = _("lock")
        verbose_name_plural = _("locks")
        default_permissions = ()
        permissions = [
            ("view_lock", _("Can view locks")),
            ("release_lock", _("Can release locks by force")),
        ]

    def __str__(self) -> str:
        return self.name
