"""Decorators used as blocks, handles used as decorators, and decorators without their name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.http import HttpResponse
from django.template import Context, Template
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View

from django_redislock import Lock, MultiLock, lock, locked, locked_method, locked_view
from tests.views.requests import request


@pytest.mark.parametrize(
    ("decorate", "says"),
    [
        (locked("feed"), r'locked\(\) makes a decorator.*write `with lock\("feed:7"\):`'),
        (
            locked_view("event"),
            r'locked_view\(\) makes a decorator.*write `with lock\("event:7"\):`',
        ),
        (locked_method(wait=0), r"locked_method\(\) makes .*write `with instance\.locked\(\):`"),
    ],
    ids=["locked", "view", "method"],
)
def test_a_decorator_used_as_a_block_says_what_to_write(decorate: Any, says: str) -> None:
    async def block() -> None:
        async with decorate:
            pass

    with pytest.raises(TypeError, match=says), decorate:
        pass
    with pytest.raises(TypeError, match=says):
        asyncio.run(block())


@pytest.mark.parametrize("name", ["feed:7", ["feed:7", "feed:8"]])
def test_a_handle_used_as_a_decorator_says_what_to_write(name: Any) -> None:
    handle: Any = lock(name)
    with pytest.raises(TypeError, match=r'Write @locked\("feed:{feed_id}"\) above the function'):

        @handle
        def import_feed() -> None: ...


@pytest.mark.parametrize("decorator", [locked, locked_view])
def test_a_decorator_takes_no_handle(decorator: Any) -> None:
    with pytest.raises(TypeError, match=r"makes a handle for each call.*name of the lock: @locked"):
        decorator(lock("feed:7"))


def test_a_handle_in_place_of_a_name() -> None:
    for name in (lock("b"), ["a", lock("b")]):
        with pytest.raises(TypeError, match=r"not .*<Lock 'b' not held>.*rite its name\.$"):
            lock(name)


def test_templates_do_not_call_a_handle() -> None:
    shown = Template("{{ lock.name }} {{ lock }}").render(Context({"lock": lock("feed:7")}))
    assert shown.startswith("feed:7 &lt;Lock")


@pytest.mark.parametrize("make", [Lock, MultiLock])
@pytest.mark.parametrize("options", [{}, {"timeout": 5}, {"wait": 5}])
def test_the_classes_of_handles_say_to_call_lock(make: Any, options: Any) -> None:
    with pytest.raises(TypeError, match=r'Write lock\("feed:7", wait=5\)'):
        make("feed:7", **options)


def generator(feed_id: int) -> Iterator[int]:
    yield feed_id


async def async_generator(feed_id: int) -> AsyncIterator[int]:
    yield feed_id


@pytest.mark.parametrize("decorator", [locked, locked_view])
@pytest.mark.parametrize(
    "above",
    [property(print), classmethod(print), staticmethod(print), generator, async_generator],
    ids=["property", "classmethod", "staticmethod", "generator", "async generator"],
)
def test_what_cannot_make_a_name_shows_at_once_that_the_name_is_missing(
    decorator: Any, above: Any
) -> None:
    with pytest.raises(TypeError, match=r"written without parentheses.*needs the name of the lock"):
        decorator(above)


def test_a_class_shows_at_once_that_the_name_is_missing() -> None:
    with pytest.raises(TypeError, match="written without parentheses"):

        @locked
        class Importer: ...


class Task:
    """A task, which its queue runs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = function.__name__

    def delay(self) -> None: ...


@pytest.mark.parametrize("decorator", [locked, locked_view])
def test_above_a_task_the_order_is_wrong_also_without_the_name(decorator: Any) -> None:
    with pytest.raises(TypeError, match=r"already a task.*directly above the `def`"):

        @decorator
        @Task
        def import_feed(feed_id: int) -> None: ...


@pytest.mark.parametrize("decorator", [locked, locked_view])
def test_below_a_task_the_missing_name_shows_when_the_task_is_made(decorator: Any) -> None:
    with pytest.raises(AttributeError, match="Was @locked.* written without parentheses"):

        @Task
        @decorator
        def import_feed(feed_id: int) -> None: ...


def test_a_function_that_takes_no_request_is_no_view() -> None:
    with pytest.raises(TypeError, match=r"nightly\(\) takes no request: write @locked\(\.\.\.\)"):

        @locked_view("nightly")
        def nightly() -> None: ...


def busy(error: Exception, request: Any, event_id: int) -> HttpResponse:
    return HttpResponse(f"busy: {event_id}")


@pytest.mark.parametrize(
    "decorators",
    [
        lambda decorate: decorate,
        lambda decorate: [csrf_exempt, decorate],
        lambda decorate: [decorate, csrf_exempt],
    ],
    ids=["alone", "inside", "outside"],
)
@pytest.mark.parametrize("method", ["post", "dispatch"])
def test_method_decorator_may_put_locked_on_a_method(
    decorators: Callable[[Any], Any], method: str
) -> None:
    decorate = locked("event:{event_id}:{request.method}", wait=0, on_busy=busy, using="memory")

    @method_decorator(decorators(decorate), name=method)
    class Event(View):
        def post(self, request: Any, event_id: int) -> HttpResponse:
            return HttpResponse("free")

    def post() -> bytes:
        return Event.as_view()(request(), event_id=7).content

    assert post() == b"free"
    with lock("event:7:POST", using="memory"):
        assert post() == b"busy: 7"


class Feeds:
    @csrf_exempt  # any decorator that wraps
    def import_feed(self, feed_id: int, source: str = "web") -> str:
        return f"{feed_id} {source}"


@pytest.mark.parametrize(
    "method",
    [
        Feeds().import_feed,
        partial(Feeds().import_feed, source="mail"),
        partial(Feeds.import_feed, Feeds()),
    ],
    ids=["bound", "partial of bound", "partial of unbound"],
)
def test_a_decorated_method_shows_its_arguments(method: Any) -> None:
    with lock("7", using="memory"):
        call = locked("{feed_id}", wait=0, on_busy="skip", default="busy", using="memory")(method)
        assert call(7) == call(feed_id=7) == "busy"
        assert call(8).startswith("8 ")
    with pytest.raises(ValueError, match=r"{feed} *, which is not an argument of"):
        locked("{feed}")(method)
