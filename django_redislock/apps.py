"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["RedisLockConfig"]


class RedisLockConfig(AppConfig):
    name = "django_redislock"
    verbose_name = _("Locks")

    def ready(self) -> None:
        from . import checks, log

        checks.register()
        log.connect()
