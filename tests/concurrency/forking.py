"""Checks in processes that fork. Each function returns a list of failures."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from django_redislock import LockError, lock, lock_backends
from django_redislock.backends.base import Claim
from django_redislock.backends.redis.commands import pack
from django_redislock.local.registry import registry
from tests.concurrency.jobs import queue_length
from tests.support.forks import in_child, in_silent_child
from tests.support.places import MEMORY, Place
from tests.support.processes import stay, wait_until


def failures(**checks: Any) -> list[str]:
    return [what for what, holds in checks.items() if not holds]


def child_holds_nothing(place: Place) -> list[str]:
    place.use()
    reported: list[str] = []
    held = lock("a", lease=2, on_lost=lambda held: reported.append(held.name))

    def refusing_child() -> list[str]:
        def refused(verb: Callable[[], object]) -> bool:
            try:
                verb()
            except LockError as error:
                return "held by the parent process" in str(error)
            return False

        return failures(
            it_holds_nothing=not held.held,
            check_is_refused=refused(held.check),
            release_is_refused=refused(held.release),
            extend_is_refused=refused(held.extend),
            detach_is_refused=refused(held.detach),
            the_block_ends_in_peace=held.__exit__(None, None, None) is None,
            nothing_is_renewed=not list(registry.holds),
            nothing_is_reported=reported == [],
        )

    def locking_child() -> list[str]:
        began = time.monotonic()
        with lock("b", wait=0) as own:
            short = time.monotonic() - began < 4
            busy = not lock("a").acquire(wait=0)
        with lock("d", lease=2) as own:
            renewed = not own.lost.wait(3)
        return failures(it_locks_at_once=short, the_parent_holds=busy, it_renews_its_own=renewed)

    with held:
        wrong = in_child(refusing_child) + in_child(locking_child)
        lost = held.lost.wait(3)  # longer than the lease
        return wrong + failures(the_parent_goes_on=not lost and held.owned())


def child_with_an_unused_handle(place: Place) -> list[str]:
    """Servers that load a project before they fork share its handles, but not their tokens."""
    place.use()
    handle, several = lock("a", lease=30), lock(["b", "c"], lease=30)
    ready, go_on = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        got = handle.acquire(wait=0) and several.acquire(wait=0)
        os.write(ready[1], b"." if got else b"-")
        os.read(go_on[0], 1)
        os._exit(0)
    child_holds = os.read(ready[0], 1) == b"."
    busy = not handle.acquire(wait=0) and not several.acquire(wait=0)
    os.write(go_on[1], b".")
    os.waitpid(pid, 0)
    return failures(the_child_holds=child_holds, its_parent_does_not=busy)


def children_of_forks_during_calls(place: Place) -> list[str]:
    """As a signal handler may do that goes on in the child: the call is its parent's."""
    place.use()
    backend: Any = lock_backends["default"]
    pids: list[int] = []

    def forking(send: Callable[..., object]) -> Callable[..., object]:
        def send_and_fork(*args: Any) -> object:
            reply = send(*args)
            pids.append(os.fork())
            return reply

        return send_and_fork

    def refused(call: Callable[..., object]) -> bool:
        error: BaseException | None = None
        try:
            call()
        except BaseException as raised:  # noqa: BLE001 - it may be that of the child
            error = raised
        if pids[-1] == 0:
            os._exit("by the parent process" not in str(error))
        return os.waitpid(pids[-1], 0)[1] == 0 and error is None

    for verb in ("acquire", "extend", "release"):
        setattr(backend, verb, forking(getattr(backend, verb)))
    held = lock("a", lease=30)
    calls = [held.acquire, lambda: lock("a").acquire(wait=0), held.extend, held.release]
    return [f"call {number}" for number, call in enumerate(calls) if not refused(call)]


def child_of_a_fork_beside_an_acquire(place: Place) -> list[str]:
    """The child does not have the thread that waits with the handle, and may use the handle."""
    place.use()
    handle = lock("a", wait=30)
    with lock("a"):
        thread = threading.Thread(target=handle.acquire)
        thread.start()
        wait_until(lambda: queue_length("a") == 1)
        wrong = in_child(lambda: failures(it_asks_and_is_answered=not handle.acquire(wait=0)))
    thread.join()
    return wrong + failures(the_parent_holds=handle.owned())


def child_of_a_silent_fork(place: Place) -> list[str]:
    """Some servers, uWSGI for one, fork without telling Python."""
    place.use()

    def connection() -> int:
        (number,), _ = lock_backends["default"].node.exchange([pack("CLIENT", "ID")])
        return number

    with lock("a", lease=2) as held:
        before = connection()

        def child() -> list[str]:
            # Such a child can start no thread, so nothing else can be checked.
            return failures(
                its_connection_is_its_own=connection() != before, it_holds_nothing=not held.held
            )

        wrong = [one for _ in range(3) for one in in_silent_child(child)]
        lost = held.lost.wait(3)
        return wrong + failures(the_parent_goes_on=not lost and held.owned())


def first_in_a_silent_fork(place: Place) -> list[str]:
    """The child must notice the fork before its first call begins anything.

    The parent runs no thread of ours. If one waited for the GIL at the moment of the fork, no
    thread of the child could start.
    """
    place.use()
    token = "0" * 32
    lock_backends["default"].acquire(Claim("given", token, 1, 60, ""))

    def one_name() -> list[str]:
        with lock("a", wait=0) as held:
            return failures(it_holds=held.owned())

    def several_names() -> list[str]:
        with lock(["a", "b"], wait=0) as held:
            return failures(it_holds=held.held)

    def by_token() -> list[str]:
        return failures(it_is_released=lock("given", token=token).release() is None)

    def in_a_task() -> list[str]:
        async def take() -> bool:
            async with lock("a", wait=0) as held:
                return held.held

        return failures(it_holds=asyncio.run(take()))

    works = (one_name, several_names, by_token, in_a_task)
    return [one for work in works for one in in_silent_child(work)]


def child_waits(place: Place) -> list[str]:
    """The child needs a wake-up connection of its own beside that of the parent."""
    place.use()
    with lock("a"):
        if lock("a").acquire(wait=0.05):
            return ["the parent's lock is none"]

        def child() -> list[str]:
            with lock("c", lease=30):
                waiter = lock("c", wait=20)
                thread = threading.Thread(target=waiter.acquire)
                thread.start()
                wait_until(lambda: queue_length("c") == 1)
            thread.join()
            held = waiter.held
            waiter.release()
            return failures(it_was_woken=held)

        return in_child(child)


def child_after_many_threads(place: Place) -> list[str]:
    """Fork while other threads hold, wait and renew. The child must inherit no locked mutex."""
    place.use()
    with lock("warm"):
        pass  # forking during the first import of a module would deadlock in Python itself
    over = threading.Event()

    def work(number: int) -> None:
        while not over.is_set():
            with lock(f"busy {number % 3}", wait=30, lease=3):
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    wrong: list[str] = []

    def child() -> list[str]:
        with lock("of a child", wait=20):
            return []

    for _ in range(10):
        wrong += in_child(child)
    over.set()
    for thread in threads:
        thread.join()
    return wrong


def child_in_a_transaction(place: Place) -> list[str]:
    """A hold kept by a transaction is not affected when the transaction ends in a child."""
    from django.db import connection, transaction

    place.use()
    reported: list[str] = []
    with transaction.atomic():
        with lock("a", on_lost=lambda held: reported.append(held.name)) as held:
            pass

        def child() -> list[str]:
            connection.run_on_commit.clear()
            return failures(nothing_is_reported=not reported and not held.lost)

        wrong = in_child(child)
        wrong += failures(it_is_kept=held.owned())
    return wrong + failures(it_is_released=not held.owned())


def in_memory() -> list[str]:
    """The memory backend of a child is empty."""
    from django.test import override_settings

    override_settings(LOCKS={"default": {"BACKEND": MEMORY}}).enable()
    with lock("a"):

        def child() -> list[str]:
            with lock("a", wait=0):
                return failures(it_is_alone=lock_backends["default"].list().total == 1)

        return in_child(child)


def _locks(name: str, answers: Any) -> None:
    with lock(name, wait=20) as held:
        answers.put(held.fence)


def with_multiprocessing(place: Place) -> list[str]:
    place.use()
    forked = multiprocessing.get_context("fork")
    # A worker is a daemon, which multiprocessing does not allow to have children.
    multiprocessing.current_process()._config["daemon"] = False
    with lock("a", lease=2) as held:
        # Its put() writes at once, so the answers arrive in their order.
        answers = forked.SimpleQueue()
        children = [forked.Process(target=_locks, args=("b", answers)) for _ in range(3)]
        for child in children:
            child.start()
        fences = [answers.get() for _ in children]
        for child in children:
            child.join()
        lost = held.lost.wait(3)
        return failures(
            they_took_turns=fences == sorted(set(fences)),
            the_parent_goes_on=not lost and held.owned(),
        )


def hold_and_fork(place: Place, started: Any) -> None:
    """Hold a lock in a process with a child, until the process is killed."""
    place.use()
    with lock("a", lease=1) as held:
        pid = os.fork()
        if pid == 0:
            stay()
        started.put((pid, held.token))
        stay()
