"""Calls of one function, each under a lock."""

from __future__ import annotations

import inspect
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from functools import partial, wraps
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Literal, TypeAlias, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import SynchronousOnlyOperation

from ..estimates import retry_after
from ..exceptions import LockNotAcquired
from ..handles import Lock, MultiLock, lock
from ..names import CallNames, NameSource, dotted_path
from ..options import options_of_call
from ..signatures import check_takes, signature_of

__all__ = ["LockedCalls", "OnBusy", "WhenBusy", "in_thread_if_refused", "refuse_unstarted"]

T = TypeVar("T")

OnBusy: TypeAlias = 'Literal["raise", "skip", "retry"] | Callable[..., Any]'


class WhenBusy:
    """What a call does when its lock is busy. Raises ``ValueError`` for invalid arguments."""

    def __init__(self, on_busy: OnBusy, default: Any) -> None:
        if on_busy not in ("raise", "skip", "retry") and not callable(on_busy):
            raise ValueError(
                f"on_busy must be 'raise', 'skip', 'retry' or a callable, not {on_busy!r}."
            )
        if default is not None and on_busy != "skip":
            raise ValueError("default is what a skipped call returns: it needs on_busy='skip'.")
        self._on_busy = on_busy
        self._default = default

    def check(self, call: inspect.Signature) -> None:
        """Raise ``TypeError`` if ``on_busy`` cannot be called after a call with this signature."""
        check_takes(self._on_busy, call, "on_busy", "error")

    def check_default(self, what: str, *, is_async: bool) -> None:
        """Raise ``TypeError`` if the generator ``what`` cannot yield the items of the default.

        An iterator is refused, since it would have no items left after the first call.
        """
        kinds = (Iterable, AsyncIterable) if is_async else Iterable
        can_repeat = not isinstance(self._default, (Iterator, AsyncIterator))
        if self._default is None or (isinstance(self._default, kinds) and can_repeat):
            return
        raise TypeError(
            f"{what} is {'an async' if is_async else 'a'} generator: a skipped call yields the "
            f"items of default. Write a list, not {self._default!r}."
        )

    @property
    def is_async(self) -> bool:
        """Whether ``on_busy`` is a coroutine function or an async generator function."""
        return iscoroutinefunction(self._on_busy) or inspect.isasyncgenfunction(self._on_busy)

    def answer(self, error: LockNotAcquired, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return what the call returns instead of running the function, or raise ``error``."""
        if callable(self._on_busy):
            return self._on_busy(error, *args, **kwargs)
        if self._on_busy == "skip":
            return self._default
        if self._on_busy == "retry":
            _retry_task(error)
        raise error

    async def aanswer(
        self, error: LockNotAcquired, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """The twin of ``answer``. An ordinary function may query the database, so not here."""
        if callable(self._on_busy) and not self.is_async:
            return await sync_to_async(self.answer)(error, args, kwargs)
        return self.answer(error, args, kwargs)


def _retry_task(error: LockNotAcquired) -> None:
    """Retry the current Celery task when the hold in its way should have ended.

    The task's own ``max_retries`` limits how often. Raises what Celery's ``retry()`` raises; does
    nothing unless a worker is running a task.
    """
    # Code that runs in a task has imported Celery already; other code is spared the import.
    module = sys.modules.get("celery")
    task = module and module.current_task
    if task and not task.request.called_directly:
        task.retry(exc=error, countdown=retry_after(error))


class LockedCalls:
    """One function under a lock: how its calls take it, and what they do when it is busy."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: NameSource,
        when_busy: WhenBusy,
        options: Mapping[str, Any],
    ) -> None:
        self.function = function
        self.when_busy = when_busy
        self.what = dotted_path(function)
        self.options = {"what": self.what, **options}
        signature = signature_of(function)
        self.names = CallNames(name, signature, self.what)
        check_takes(name, signature, "The callable that makes the name")
        check_takes(options.get("label"), signature, "label")
        when_busy.check(signature)

    def wrapper(self) -> Callable[..., Any]:
        """Return the function's replacement, which is of the same kind: sync, async, generator."""
        called = _called(self.function)
        if inspect.isasyncgenfunction(called):
            self.when_busy.check_default(self.what, is_async=True)
            return _around_async_generator(self)
        if iscoroutinefunction(called):
            return _around_coroutine(self)
        if self.names.is_async or self.when_busy.is_async:
            raise TypeError(
                f"{self.what} is not a coroutine function: its name and on_busy cannot be either."
            )
        if inspect.isgeneratorfunction(called):
            self.when_busy.check_default(self.what, is_async=False)
            return _around_generator(self)
        return _around_function(self)

    def handle(
        self, name: str | list[str], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Lock | MultiLock:
        handle: Lock | MultiLock = lock(name, **options_of_call(self.options, args, kwargs))
        return handle

    async def ahandle(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Lock | MultiLock:
        """Return the handle for a call of a coroutine function, whose name may need a query."""
        name = await in_thread_if_refused(self.names.of, args, kwargs)
        if self.names.is_async:
            name = await name
        return await in_thread_if_refused(self.handle, name, args, kwargs)


def _called(function: Any) -> Any:
    """Return what says of which kind the calls are: of an object, its ``__call__``."""
    is_function = inspect.isroutine(function) or isinstance(function, partial)
    return function if is_function or iscoroutinefunction(function) else function.__call__


def _around_function(use: LockedCalls) -> Callable[..., Any]:
    @wraps(use.function)
    def locked_function(*args: Any, **kwargs: Any) -> Any:
        handle = use.handle(use.names.of(args, kwargs), args, kwargs)
        entered = False
        # Not an ExitStack: an interruption in it might come between the lock and its release.
        try:
            with handle:
                entered = True
                return refuse_unstarted(use.function(*args, **kwargs), use.what)
        except LockNotAcquired as error:
            if entered:
                raise
            return use.when_busy.answer(error, args, kwargs)

    return locked_function


def _around_coroutine(use: LockedCalls) -> Callable[..., Any]:
    @wraps(use.function)
    async def locked_coroutine(*args: Any, **kwargs: Any) -> Any:
        handle = await use.ahandle(args, kwargs)
        entered = False
        try:
            async with handle:
                entered = True
                return refuse_unstarted(await use.function(*args, **kwargs), use.what)
        except LockNotAcquired as error:
            if entered:
                raise
            instead = await use.when_busy.aanswer(error, args, kwargs)
            return await instead if isinstance(instead, Awaitable) else instead

    return locked_coroutine


def _around_generator(use: LockedCalls) -> Callable[..., Any]:
    @wraps(use.function)
    def locked_generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        handle = use.handle(use.names.of(args, kwargs), args, kwargs)
        entered = False
        try:
            with handle:
                entered = True
                return (yield from use.function(*args, **kwargs))
        except LockNotAcquired as error:
            if entered:
                raise
            instead: Iterable[Any] | None = use.when_busy.answer(error, args, kwargs)
            return (yield from instead or ())

    return locked_generator


def _around_async_generator(use: LockedCalls) -> Callable[..., Any]:
    @wraps(use.function)
    async def locked_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        handle = await use.ahandle(args, kwargs)
        entered = False
        try:
            async with handle, aclosing(use.function(*args, **kwargs)) as generator:
                entered = True
                # There is no ``yield from`` for async generators.
                step = anext(generator)
                while True:
                    try:
                        item = await step
                    except StopAsyncIteration:
                        return
                    try:
                        sent = yield item
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 - the generator decides
                        step = generator.athrow(error)
                    else:
                        step = generator.asend(sent)
        except LockNotAcquired as error:
            if entered:
                raise
            instead = await use.when_busy.aanswer(error, args, kwargs)
            # An async generator is closed itself, which does not wait for the garbage collector.
            items = instead if isinstance(instead, AsyncGenerator) else _items(instead)
            async with aclosing(items) as generator:
                async for item in generator:
                    yield item

    return locked_generator


async def _items(answer: Any) -> AsyncGenerator[Any, Any]:
    """Yield the items of a sync or async iterable, or of what a coroutine returns.

    None has no items.
    """
    if isinstance(answer, Awaitable):
        answer = await answer
    if isinstance(answer, AsyncIterable):
        async for item in answer:
            yield item
    else:
        for item in answer or ():
            yield item


async def in_thread_if_refused(function: Callable[..., T], *args: Any) -> T:
    """Call the function, in a thread if Django refuses it a query of the database here."""
    try:
        return function(*args)
    except SynchronousOnlyOperation:
        return await sync_to_async(function)(*args)


_UNSTARTED = {
    CoroutineType: ("a coroutine", "write the function itself as `async def`"),
    GeneratorType: ("a generator", "return a list, or write the function itself with `yield`"),
    AsyncGeneratorType: ("an async generator", "write the function itself with `yield`"),
}


def refuse_unstarted(result: Any, what: str) -> Any:
    """Return the result. Raises ``TypeError`` if its code would run after the release."""
    if type(result) in _UNSTARTED:
        kind, instead = _UNSTARTED[type(result)]
        if isinstance(result, CoroutineType):
            result.close()  # otherwise Python warns that it was never awaited
        raise TypeError(
            f"{what} returned {kind}, which would not run under the lock: {instead}, with the "
            "decorator directly above it."
        )
    return result
