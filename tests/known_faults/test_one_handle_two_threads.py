"""One handle used twice at once: one acquire is refused, and no release is lost."""

from __future__ import annotations

from functools import partial
from threading import Event, Thread, current_thread, main_thread
from typing import Any

import pytest

from django_redislock import Lock, LockError, MultiLock, lock
from django_redislock.handles.attempts import OneNameHandle
from django_redislock.twins import Call
from tests.known_faults.witness import Witness, in_thread
from tests.support.interruptions import handle_signal, pause, places_in, steps_of, stop
from tests.support.processes import wait_until
from tests.support.proxy import Proxy


def attempt(handle: Lock | MultiLock, said: list[object]) -> None:
    try:
        said.append(handle.acquire(wait=0))
    except LockError as error:
        said.append(error)


def wrong_about(handle: Lock, said: list[object], witness: Witness) -> str:
    """Return the error in the state of the handle after its two attempts."""
    held = True in said
    released = True
    try:
        handle.release()
    except LockError:
        released = False
    left = witness.tokens(handle.name)
    for token in left:
        witness.lock(handle.name, token=token).release()
    right = said.count(True) <= 1 and released == held and not left
    return "" if right else f"{handle.name}: {said=}, {released=}, {left=}"


def test_the_second_of_two_acquires_is_refused(through_proxy: Proxy, witness: Witness) -> None:
    """The first is under way when the second begins."""
    with lock("warm"):
        pass
    handle = lock("a")
    said: list[object] = []
    through_proxy.hold()
    threads = [in_thread(attempt, handle, said)]
    wait_until(lambda: witness.holds("a"))
    through_proxy.forget()
    threads.append(in_thread(attempt, handle, said))
    wait_until(lambda: said or through_proxy.count() or through_proxy.opened)
    through_proxy.pass_through()
    for thread in threads:
        thread.join()
    assert sorted(type(one).__name__ for one in said) == ["LockError", "bool"]
    assert wrong_about(handle, said, witness) == ""


@pytest.mark.parametrize(
    ("begin", "count", "every"),
    [
        pytest.param(stop, steps_of, 3, id="in another thread"),
        pytest.param(handle_signal, places_in, 1, id="in a signal handler"),
    ],
)
def test_an_acquire_at_any_moment_of_another_is_refused_or_alone(
    witness: Witness, begin: Any, count: Any, every: int
) -> None:
    with lock("warm"):
        pass
    warm = lock("warm")
    number = count(warm.acquire)
    warm.release()
    wrong = []
    for place in range(0, number, every):
        handle = lock(f"{place}")
        said: list[object] = []
        attempting = partial(attempt, handle, said)
        begin(attempting, attempting, at=place)
        wrong.append(wrong_about(handle, said, witness))
    assert [one for one in wrong if one] == []


@pytest.mark.timeout(120)
def test_a_refused_acquire_of_several_names_gives_back_none_of_another() -> None:
    """The other one acquires them at any moment of the one that is refused."""
    warm = lock(["warm", "warmer"])
    warm.acquire()
    refused = steps_of(lambda: attempt(warm, []))
    warm.release()
    acquired = steps_of(warm.acquire)
    warm.release()
    wrong = []
    for place in range(0, refused + acquired, 7):
        both = lock([f"{place}", f"{place} too"])
        said: list[object] = []
        attempting = partial(attempt, both, said)
        stop(attempting, attempting, at=place)
        if (said.count(True), both.held) != (1, True):
            wrong.append(f"{place}: {said}, {both.held}")
        for handle in both.locks:
            if handle.held:
                handle.release()
    assert wrong == []


def with_an_old_mark(name: str) -> Lock:
    handle = lock(name)
    attempt(handle, [])
    assert handle._acquiring
    return handle


def test_one_of_two_acquires_is_refused_after_an_interrupted_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second begins at any moment before the first asks the server, and asks for a while."""

    async def ask(self: OneNameHandle[Any], call: Call, *args: Any) -> bool:
        if current_thread() is main_thread():
            asked.set()
        else:
            begun.set()
            ended.wait(30)
        return True

    def second() -> None:
        attempt(handle, said)
        begun.set()

    def let_it_begin() -> None:
        if not asked.is_set():
            seconds.append(in_thread(second))
            begun.wait(30)

    asked, begun, ended = Event(), Event(), Event()
    monkeypatch.setattr(OneNameHandle, "_try", ask)
    results: list[list[str]] = []
    seconds: list[Thread] = []
    while not asked.is_set() or seconds:
        handle = with_an_old_mark(f"{len(results)}")
        said: list[object] = []
        seconds.clear()
        for event in (asked, begun, ended):
            event.clear()
        pause(
            lambda: attempt(handle, said),  # noqa: B023 - it has ended before the next round
            let_it_begin,
            at=len(results),
        )
        ended.set()
        for thread in seconds:
            thread.join()
        results.append(sorted(type(one).__name__ for one in said))
    assert len(results) > 10
    assert [one for one in results[:-1] if one != ["LockError", "bool"]] == []
