"""Interruptions, signal handlers and other threads at an exact place in an operation.

    for place in range(places_in(operation)):
        interrupt(operation, at=place)

The places are counted, not named, so that a sweep over them still works when the code changes.

An interpreter checks for signals, and for exceptions set by other threads, when a function begins
and when a call has returned. A blocking function may also raise the exception of a signal handler.
The sweeps use the same places. Nothing can interrupt elsewhere, for example between the body of a
`with` block and the call of `__exit__`.
"""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from unittest.mock import patch

import pytest

import django_redislock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

# The beginnings of the paths of some files.
Files: TypeAlias = "str | tuple[str, ...]"

PACKAGE = str(Path(django_redislock.__file__).parent)

BLOCKING = frozenset(("acquire", "connect", "get", "poll", "recv", "recv_into", "select", "send"))
BLOCKING |= {"sendall", "sleep"}

# How long (seconds) the stopped thread waits before it goes on beside the other one, which may need
# something that the stopped thread has.
STUCK = 0.25


class Interruption(BaseException):
    """An interruption from outside: a time limit, a Ctrl-C, a killed greenlet."""


@contextmanager
def ctrl_c_in(*functions: tuple[object, str]) -> Iterator[None]:
    """Simulate a Ctrl-C at the call of any of these functions. It ends the block.

    Each function is given as an object and the name of its attribute.
    """

    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with ExitStack() as stack:
        for owner, name in functions:
            stack.enter_context(patch.object(owner, name, interrupt))
        with pytest.raises(KeyboardInterrupt):
            yield


class _Places:
    """A profile function that calls `reached` at place number `at` of this thread."""

    def __init__(self, reached: Callable[[FrameType], None], at: int, inside: Files) -> None:
        self._reached = reached
        self._at = at
        self._inside = inside
        self.passed = 0

    def __enter__(self) -> _Places:
        sys.setprofile(self)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        name = frame.f_code.co_filename
        if name == __file__ or not name.startswith(self._inside):
            return
        if event == "call" and sys.version_info < (3, 11) and frame.f_lasti >= 0:
            # An exception here would end the generator without its `finally`, as no signal does.
            return
        blocks = event == "c_call" and getattr(argument, "__name__", "") in BLOCKING
        del argument  # a traceback would keep it, and what it is a method of
        if event in ("call", "c_return") or blocks:
            self.passed += 1
            if self.passed == self._at + 1:
                self._reached(frame)


def places_in(operation: Callable[[], object], *, inside: Files = "") -> int:
    """Run `operation` undisturbed, and return how many places it has in files of `inside`."""
    with _Places(lambda frame: None, sys.maxsize, inside) as places:
        operation()
    return places.passed


def interrupt(
    operation: Callable[[], object], *, at: int, again_after: int | None = None, inside: Files = ""
) -> Interruption | None:
    """Run `operation` with an Interruption at its place number `at`.

    With `again_after`, a second one is raised that many places after the first. Returns the
    Interruption with its traceback, or None if `operation` swallowed it or ended before.
    """

    def raise_it(frame: FrameType) -> None:
        if again_after is not None:
            _profile_after_the_next_exception(frame, _Places(raise_again, again_after, inside))
        raise Interruption("the first")

    def raise_again(frame: FrameType) -> None:
        raise Interruption("the second")

    try:
        with _Places(raise_it, at, inside):
            operation()
    except Interruption as error:
        return error
    finally:
        sys.settrace(None)
        sys.setprofile(None)
    return None


def _profile_after_the_next_exception(frame: FrameType | None, profile: _Places) -> None:
    """Set another profile function from a trace function: Python removes one that raises."""

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "exception":
            sys.settrace(None)
            sys.setprofile(profile)
        return trace

    sys.settrace(trace)
    while frame is not None and frame.f_code.co_filename != __file__:
        frame.f_trace = trace
        frame = frame.f_back


def handle_signal(
    operation: Callable[[], object], handler: Callable[[], object], *, at: int, inside: Files = ""
) -> None:
    """Run `operation`, and call `handler` at its place number `at`, like a signal handler."""
    with _Places(lambda frame: handler() and None, at, inside):
        operation()


def steps_of(operation: Callable[[], object]) -> int:
    """Run `operation` undisturbed, and return how many bytecodes of the package it ran."""
    with _Steps(sys.maxsize, lambda: None, PACKAGE) as steps:
        operation()
    assert steps.taken, "nothing of the package ran, or nothing was traced"
    return steps.taken


def pause(
    operation: Callable[[], object],
    meanwhile: Callable[[], object],
    *,
    at: int,
    inside: Files = PACKAGE,
) -> bool:
    """Run `operation`, and call `meanwhile` before its bytecode number `at`, if it gets that far.

    Only bytecodes in files whose paths begin with `inside` count. `meanwhile` must not raise: no
    interpreter expects an exception between any two bytecodes. interrupt() knows where one may be.
    """
    with _Steps(at, meanwhile, inside) as steps:
        operation()
    return steps.taken > at


def stop(operation: Callable[[], object], meanwhile: Callable[[], object], *, at: int) -> None:
    """Run `operation`; before its bytecode number `at`, run `meanwhile` in another thread.

    If that thread waits for something that the stopped thread has, both go on. It has ended when
    this returns. Each must catch its own exceptions.
    """
    other = threading.Thread(target=meanwhile, name="meanwhile", daemon=True)

    def let_the_other_run() -> None:
        other.start()
        other.join(STUCK)

    if pause(operation, let_the_other_run, at=at):
        other.join()


class _Steps:
    """A trace function that calls `reached` before bytecode number `at` of some files."""

    def __init__(self, at: int, reached: Callable[[], object], inside: Files) -> None:
        self._at = at
        self._reached = reached
        self._inside = inside
        self._known: dict[CodeType, bool] = {}
        self.taken = 0

    def __enter__(self) -> _Steps:
        # Python 3.12 traces bytecodes only if some frame asked for them before settrace().
        sys._getframe().f_trace_opcodes = True
        sys.settrace(self._called)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code not in self._known:
            self._known[code] = code.co_filename.startswith(self._inside)
        if not self._known[code]:
            return None
        # In this order: Python 3.13 asks for the bytecodes of frames that are traced already.
        frame.f_trace = self._stepped
        frame.f_trace_opcodes = True
        return self._stepped

    def _stepped(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode":
            self.taken += 1
            if self.taken == self._at + 1:
                self._reached()
        return self._stepped
