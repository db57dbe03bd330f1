"""One backend for each alias, whoever asks for it first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from django_redislock import lock, lock_backends
from django_redislock.backends.memory import MemoryLockBackend


class Interrupted(MemoryLockBackend):
    """While the first one is being made, a signal handler takes a lock of its alias."""

    taken: ClassVar[list[Any]] = []

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not self.taken:
            self.taken.append(None)
            self.taken[0] = lock("a")
            self.taken[0].acquire(wait=0)


def test_a_lock_taken_while_its_backend_is_made_excludes_others(settings: Any) -> None:
    settings.LOCKS = {"default": {"BACKEND": f"{__name__}.Interrupted"}}
    assert not lock("a").acquire(wait=0)
    Interrupted.taken[0].release()


class Simultaneous(MemoryLockBackend):
    """Is made by two threads at once."""

    both = threading.Barrier(2, timeout=20)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.both.wait()


def test_threads_that_make_a_backend_at_once_use_one_and_wait_for_no_mutex(settings: Any) -> None:
    settings.LOCKS = {"default": {"BACKEND": f"{__name__}.Simultaneous"}}
    with ThreadPoolExecutor(2) as threads:
        found = set(threads.map(lambda _: lock_backends["default"], range(2)))
    assert found == {lock_backends["default"]}
