"""What an interrupt at any moment leaves behind: nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handles.test_handle import backend_is_empty, make
from tests.support.settled import settle

__all__ = ["make"]  # a fixture, used by its name


def test_an_interrupt_while_waiting_leaves_no_trace(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_redislock.backends.waiters import ThreadWaiter

    def interrupted(self, timeout: Any) -> None:
        raise KeyboardInterrupt

    with make() as held:
        monkeypatch.setattr(ThreadWaiter, "hear", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make().acquire(wait=30)
        settle()
        assert held.backend.inspect("a")[1] == []


def test_an_interrupt_after_the_grant_holds_nothing(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = make()
    acquire = handle.backend.acquire

    def interrupted(*args: Any) -> None:
        acquire(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(handle.backend, "acquire", interrupted)
    with pytest.raises(KeyboardInterrupt):
        handle.acquire()
    monkeypatch.undo()
    settle()
    assert not handle.held
    with make(wait=0):
        pass


def test_an_interrupt_in_release_frees_it_all_the_same(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = make()
    handle.acquire()
    release, calls = handle.backend.release, []

    def interrupted(name: str, token: str, within: float | None = None) -> Any:
        calls.append(token)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return release(name, token, within)

    monkeypatch.setattr(handle.backend, "release", interrupted)
    with pytest.raises(KeyboardInterrupt):
        handle.release()
    settle()
    assert backend_is_empty(handle)
