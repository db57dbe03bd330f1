"""Wrapper that ``locked_view`` puts around a view."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import StreamingHttpResponse
from django.views.generic import View

from ..exceptions import LockError, LockLost, LockNotAcquired, LockUnavailable
from ..functions.calls import in_thread_if_refused, refuse_unstarted
from ..functions.refused import refuse_decorated
from ..handles import Lock, MultiLock, lock
from ..names import InvalidName, NameSource, dotted_path
from ..options import options_of_call
from ..signatures import check_takes
from .atomic_requests import (
    atomic_in,
    excluded_databases,
    refuse_atomic_requests,
    take_over_atomic_requests,
    taken_over_databases,
)
from .inspection import (
    NAME_IT,
    bound_method,
    is_rest_framework_view,
    path_of_method,
    signature_of_function,
    signature_of_method,
)
from .naming import ViewNames
from .responses import bad_request, unavailable_response
from .streaming import keep_for

__all__ = ["ViewLock"]

logger = logging.getLogger("django_redislock")

V = TypeVar("V", bound=Callable[..., Any])


@dataclass(frozen=True)
class ViewLock:
    """A decorator that runs a view under a lock."""

    name: NameSource
    methods: frozenset[str] | None
    on_busy: Callable[..., Any]
    proceeds: bool
    options: Mapping[str, Any]

    def __call__(self, view: V, /, *args: Any, **kwargs: Any) -> V:
        if args or kwargs:
            # ``@locked_view`` without parentheses is called with the arguments of the view.
            raise TypeError(f"@locked_view was written without parentheses. {NAME_IT}")
        refuse_decorated(view, "@locked_view")
        method, is_async = bound_method(view), iscoroutinefunction(view)
        if method is None:
            signature = signature_of_function(view)
            what = dotted_path(getattr(view, "view_class", view))
            self._check_callables(signature)
        else:
            signature = signature_of_method(method.__func__)
            what = path_of_method(method)
            if method.__name__ == "dispatch" and isinstance(method.__self__, View):
                if is_rest_framework_view(type(method.__self__)):
                    return self._inside_rest_framework(view, method.__self__)
                # dispatch() is a plain function, even if the handlers are coroutine functions.
                is_async = method.__self__.view_is_async
        names = ViewNames(self.name, signature, what)
        if not is_async and (names.is_async or iscoroutinefunction(self.on_busy)):
            raise TypeError(
                f"{what} is not a coroutine function: its name and on_busy cannot be either."
            )
        around = self._around_coroutine if is_async else self._around
        return around(view, names, what)  # type: ignore[return-value]

    def _check_callables(self, signature: inspect.Signature) -> None:
        check_takes(self.name, signature, "The callable that makes the name")
        check_takes(self.options.get("label"), signature, "label")
        check_takes(self.on_busy, inspect.Signature(), "on_busy", "request", "error")

    def _around(self, view: Callable[..., Any], names: ViewNames, what: str) -> Callable[..., Any]:
        @wraps(view)
        def locked(request: Any, *args: Any, **kwargs: Any) -> Any:
            outer = request.lock = _outer_lock(request, what)
            run = partial(self._run, view, what, request, args, kwargs)
            if not self._guards(request):
                return run()
            name = refuse_unstarted(names.of((request, *args), kwargs), f"The name of {what}")
            handle = self._handle(what, name, (request, *args), kwargs)
            held = None
            # Not an ExitStack: an interruption in it might come between the lock and its release.
            try:
                with handle:
                    held = request.lock = handle
                    try:
                        response = run(held)
                    finally:
                        request.lock = outer or held
                    if isinstance(response, StreamingHttpResponse):
                        keep_for(request, response, held)
                    return response
            except LockNotAcquired as error:
                if held is not None:
                    raise
                return refuse_unstarted(self.on_busy(request, error), f"on_busy of {what}")
            except LockUnavailable as error:
                if held is not None:
                    raise
                if not self._proceeds(error, what):
                    return unavailable_response(request, error)
            return run()

        take_over_atomic_requests(locked)
        return locked

    def _run(
        self,
        view: Callable[..., Any],
        what: str,
        request: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        held: Lock | MultiLock | None = None,
    ) -> Any:
        aliases = taken_over_databases(request, view)
        # Most requests have none, and an empty atomic_in() would take a tenth of their lock's time.
        with atomic_in(aliases) if aliases else nullcontext():
            response = refuse_unstarted(view(request, *args, **kwargs), what)
            if held is not None:
                try:
                    # The last moment to roll back writes that were made after the lock was lost.
                    held.check()
                except LockLost:
                    raise
                except LockError:
                    pass  # the view has released it, or handed it to another process
            return response

    def _around_coroutine(
        self, view: Callable[..., Any], names: ViewNames, what: str
    ) -> Callable[..., Any]:
        make_name: Any = (
            sync_to_async(names.of) if names.may_query else partial(in_thread_if_refused, names.of)
        )
        # A function that makes the label usually looks at the user, who is in the database.
        asks_for_label = callable(self.options.get("label"))
        make_handle = sync_to_async(self._handle) if asks_for_label else self._handle

        @wraps(view)
        async def locked(request: Any, *args: Any, **kwargs: Any) -> Any:
            outer = request.lock = _outer_lock(request, what)
            refuse_atomic_requests(request, view)
            if not self._guards(request):
                return await _awaited(view(request, *args, **kwargs))
            name = await make_name((request, *args), kwargs)
            name = await _awaited(name)  # what a callable returned may be a coroutine
            handle = await _awaited(make_handle(what, name, (request, *args), kwargs))
            held = None
            try:
                async with handle:
                    held = request.lock = handle
                    try:
                        response = await _awaited(view(request, *args, **kwargs))
                    finally:
                        request.lock = outer or held
                    if isinstance(response, StreamingHttpResponse):
                        keep_for(request, response, held)
                    return response
            except LockNotAcquired as error:
                if held is not None:
                    raise
                return await self._answer(request, error)
            except LockUnavailable as error:
                if held is not None:
                    raise
                if not self._proceeds(error, what):
                    return await sync_to_async(unavailable_response)(request, error)
            return await _awaited(view(request, *args, **kwargs))

        return locked

    async def _answer(self, request: Any, error: LockNotAcquired) -> Any:
        """Return what ``on_busy`` answers. An ordinary function may query the database.

        So may a template of the project, which ``busy_response`` renders.
        """
        on_busy: Any = self.on_busy
        if iscoroutinefunction(on_busy):
            return await on_busy(request, error)
        return await _awaited(await sync_to_async(lambda: on_busy(request, error))())

    def _inside_rest_framework(self, dispatch: V, view: Any) -> V:
        """Lock the handler, where the user is authenticated and exceptions are handled."""

        @wraps(dispatch)
        def dispatch_to_locked(request: Any, *args: Any, **kwargs: Any) -> Any:
            initial = view.initial

            def initial_then_lock(request: Any, *args: Any, **kwargs: Any) -> None:
                initial(request, *args, **kwargs)
                method = request.method.lower()
                if method in view.http_method_names and hasattr(view, method):
                    setattr(view, method, self(getattr(view, method)))

            # A view object serves one request.
            view.initial = initial_then_lock
            view._non_atomic_requests = excluded_databases(dispatch)
            return dispatch(request, *args, **kwargs)

        return dispatch_to_locked  # type: ignore[return-value]

    def _guards(self, request: Any) -> bool:
        method: str = request.method
        # By default not OPTIONS, which browsers send ahead of a request to another site.
        return method in self.methods if self.methods is not None else method != "OPTIONS"

    def _handle(
        self, what: str, name: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Lock | MultiLock:
        options = {"what": what, **options_of_call(self.options, args, kwargs)}
        try:
            handle: Lock | MultiLock = lock(name, **options)
        except InvalidName as error:
            # The name contains what a visitor has sent, so this is not an error of the site.
            raise bad_request(args[0], str(error)) from error
        return handle

    def _proceeds(self, error: LockUnavailable, what: str) -> bool:
        if self.proceeds:
            logger.warning("%s runs without its lock: %s", what, error)
        else:
            logger.error("%s was not run: %s", what, error)
        return self.proceeds


def _outer_lock(request: Any, what: str) -> Lock | MultiLock | None:
    """Return the lock of a view around this one, to restore it in ``request.lock`` afterwards.

    Raises ``TypeError`` if the first argument is not a request.
    """
    if not hasattr(request, "method"):
        raise TypeError(
            f"{what} got {type(request).__name__} first: @locked_view decorates what gets a "
            "request there. Write @locked(...) instead."
        )
    handle = getattr(request, "lock", None)
    return handle if isinstance(handle, (Lock, MultiLock)) and handle.held else None


async def _awaited(result: Any) -> Any:
    return await result if isinstance(result, Awaitable) else result
