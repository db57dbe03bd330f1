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


class Counted(MemoryLockBackend):
    """Takes long to make, as the import of its modules does."""

    under_way: ClassVar[list[None]] = []
    made_at_once: ClassVar[list[int]] = []

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.under_way.append(None)
        self.made_at_once.append(len(self.under_way))
        threading.Event().wait(0.1)
        self.under_way.pop()


def test_threads_that_need_a_backend_at_once_make_one(settings: Any) -> None:
    # Each would import modules, and an interrupted wait for an import blocks all imports for good.
    settings.LOCKS = {"default": {"BACKEND": f"{__name__}.Counted"}}
    begin = threading.Barrier(4, timeout=20)

    def use(_: int) -> Any:
        begin.wait()
        return lock_backends["default"]

    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(use, range(4)))
    assert found == {lock_backends["default"]}
    assert Counted.made_at_once == [1]
