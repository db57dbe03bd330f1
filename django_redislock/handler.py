"""``lock_backends``: the backend of each alias of ``LOCKS``, created on first use."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.connection import BaseConnectionHandler
from django.utils.module_loading import import_string

from .backends.base import BaseLockBackend
from .conf import LockConfig, read_settings
from .exceptions import InvalidLockBackend
from .process import process

if TYPE_CHECKING:
    _Handler = BaseConnectionHandler[BaseLockBackend]
else:
    _Handler = BaseConnectionHandler

__all__ = ["LockBackendHandler", "lock_backends"]


class LockBackendHandler(_Handler):
    """The backends by alias: ``lock_backends["default"]``. All threads share the same objects.

    A backend shows its locks by ``list()`` and ``inspect()``, and ends a hold by
    ``force_release()``.
    """

    # Django's other handlers create an object per thread. The waiters and connections that all
    # threads share cannot live on such an object.

    settings_name = "LOCKS"
    exception_class = InvalidLockBackend

    if TYPE_CHECKING:

        @property
        def settings(self) -> dict[str, LockConfig]: ...

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self._connections = SimpleNamespace()
        self._creating = threading.RLock()

    def configure_settings(self, settings: Any) -> dict[str, LockConfig]:
        if settings is None:
            settings = getattr(django_settings, self.settings_name, {})
        return read_settings(settings)

    def __getitem__(self, alias: str) -> BaseLockBackend:
        # Not getattr(), which Django uses: an alias may be the name of an attribute of any object.
        backend = vars(self._connections).get(alias) if isinstance(alias, str) else None
        return self._created(alias) if backend is None else backend

    def _created(self, alias: str) -> BaseLockBackend:
        # One thread at a time: the first use imports modules, and Python leaves its import lock
        # locked if a thread that waits for it is interrupted. Reentrant for signal handlers.
        with self._creating:
            backends: dict[str, BaseLockBackend] = vars(self._connections)
            if self._known(alias) not in backends:
                made = self.create_connection(alias)
                # A signal handler may have made one meanwhile.
                backends.setdefault(alias, made)
            return backends[alias]

    def create_connection(self, alias: str) -> BaseLockBackend:
        config = self.settings[alias]
        where = f"LOCKS[{alias!r}]"
        advice = f"Write {LockConfig.backend!r} or the dotted path of another backend."
        try:
            backend_class = import_string(config.backend)
        except ImportError as error:
            raise InvalidLockBackend(
                f"{where}['BACKEND'] names {config.backend!r}, which cannot be imported: {error}. "
                f"{advice}"
            ) from error
        if not (isinstance(backend_class, type) and issubclass(backend_class, BaseLockBackend)):
            raise InvalidLockBackend(
                f"{where}['BACKEND'] names {config.backend!r}, which is not a subclass of "
                f"django_redislock.backends.base.BaseLockBackend. {advice}"
            )
        try:
            return backend_class(config, **config.options)
        except (TypeError, ValueError) as error:
            if str(error).startswith(where):  # the message already names the entry
                raise InvalidLockBackend(str(error)) from None
            raise InvalidLockBackend(
                f"{where}['OPTIONS'] does not fit {backend_class.__name__}: {error}. It takes "
                f"{', '.join(backend_class.option_names()) or 'no options'}."
            ) from error

    def _known(self, alias: str) -> str:
        if not isinstance(alias, str):
            raise InvalidLockBackend(
                f"The alias of a lock backend must be a string, not {alias!r}."
            )
        if alias not in self.settings:
            raise InvalidLockBackend(
                f"There is no lock backend {alias!r}. Add LOCKS[{alias!r}] to the settings, or use "
                f"one of {', '.join(map(repr, self.settings))}."
            )
        return alias

    def created(self) -> list[BaseLockBackend]:
        """Return the backends that have been used."""
        return list(vars(self._connections).values())

    def reset(self) -> None:
        """Close the backends, and read the settings again at the next use."""
        with self._creating:
            for backend in self.created():
                backend.close()
            self._connections = SimpleNamespace()
            self._settings = None
            self.__dict__.pop("settings", None)

    def look_at_debug(self) -> None:
        """Update whether misuse is warned of, after a test has changed ``DEBUG``."""
        for backend in self.created():
            backend.warns = backend.config.warn

    def after_fork(self) -> None:
        """In a forked child, drop what belongs to the parent."""
        self._creating = threading.RLock()
        for backend in self.created():
            backend.after_fork()


lock_backends = LockBackendHandler()
process.in_child(lock_backends.after_fork)


@receiver(setting_changed, dispatch_uid="django_redislock.handler")
def reset_backends(*, setting: str, **kwargs: Any) -> None:
    if setting in {"LOCKS", "CACHES"}:
        lock_backends.reset()
    elif setting == "DEBUG":
        lock_backends.look_at_debug()
