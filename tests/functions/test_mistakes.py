"""Mistakes of those who come from elsewhere are refused where they are made, with what to write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property, wraps
from typing import Any

import pytest
from celery import Celery, shared_task
from django.db import transaction
from django.views.generic import View

from django_redislock import lock, locked, locked_method, locked_view
from django_redislock.commands import LockedCommand
from tests.views.requests import request

celery = Celery("mistakes")


class Queued:
    """As a task of Django 6, dramatiq, huey or taskiq is: an object that queues calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.func = function


class Enqueued(Queued):
    def enqueue(self, *args: Any) -> None: ...


class Actor(Queued):
    def __call__(self, *args: Any) -> None: ...
    def send_with_options(self, *args: Any) -> None: ...


def job(function: Callable[..., Any]) -> Callable[..., Any]:
    """As rq does: the function itself, with a way to queue it."""

    @wraps(function)
    def delay(*args: Any) -> None: ...

    function.delay = delay  # type: ignore[attr-defined]
    return function


@pytest.mark.parametrize("task", [shared_task, celery.task, Enqueued, Actor, job])
@pytest.mark.parametrize("decorate", [locked("feed"), locked_view("feed")], ids=["locked", "view"])
def test_a_task_is_decorated_below(task: Any, decorate: Any) -> None:
    with pytest.raises(TypeError, match=r"already a task.*below.*directly above the `def`"):

        @decorate
        @task
        def import_feed(feed_id: int) -> None: ...


def test_a_task_that_only_the_queue_makes_is_not_made_for_the_question() -> None:
    asked = []

    class Proxy:
        """As Celery's is: what it stands for is made when it is looked at."""

        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            raise RuntimeError(name)

        def __call__(self) -> None: ...

    Proxy.__module__ = "celery.local"
    with pytest.raises(TypeError, match="already a task"):
        locked("feed")(Proxy())
    assert asked == []


@pytest.mark.parametrize("manager", [contextmanager, asynccontextmanager])
def test_a_context_manager_is_decorated_below(manager: Any) -> None:
    with pytest.raises(TypeError, match=r"context manager.*below.*directly above the `def`"):

        @locked("feed")
        @manager
        def feed(feed_id: int) -> Any:
            yield


def test_what_a_transaction_is_put_around_is_a_function_still() -> None:
    @locked("feed", using="memory")
    @transaction.atomic
    def import_feed() -> str:
        return "imported"

    assert callable(import_feed)


@pytest.mark.parametrize("kind", [property, cached_property])
def test_a_property_is_decorated_below(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"directly above the `def`"):
        locked("feed")(kind(lambda self: None))


def takes_one(feed_id: int) -> None: ...


def takes_one_and_more(feed_id: int, **others: int) -> None: ...


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a:%s", "%s"),
        ("a:%d:b", "%d"),
        ("a:%05d", "%05d"),
        ("a:%.2f", "%.2f"),
        ("%(feed_id)s", "%(feed_id)s"),
        ("a:%r-%s", "%r"),
        ("feed:{{feed_id}}", "{feed_id"),
        ("feed:{{ feed_id }}", "{ feed_id"),
        ("feed:$feed_id", "$feed_id"),
        ("feed:<feed_id>", "<feed_id"),
        ("feed:<int:feed_id>", "<int:feed_id"),
    ],
)
@pytest.mark.parametrize("decorator", [locked, locked_view])
@pytest.mark.parametrize("function", [takes_one, takes_one_and_more])
def test_fields_of_other_kinds_would_be_one_lock_for_all(
    decorator: Any, function: Any, text: str, found: str
) -> None:
    with pytest.raises(ValueError, match="one lock for all calls") as caught:
        decorator(text)(function)
    assert repr(found) in str(caught.value)
    assert "{feed_id}" in str(caught.value) or "{argument}" in str(caught.value)


def test_a_command_is_named_by_fields_too() -> None:
    with pytest.raises(ValueError, match="one lock for all calls"):

        class Import(LockedCommand):
            lock_name = "import:%s"


@pytest.mark.parametrize(
    "text",
    [
        *("discount:10%", "10%:a", "10% off", "100%sure", "%D0%B0:a", "a:%41", "50%-off"),
        *("price:$5", "a:$b", "<b>", "a<5", "{{b}}", "{{}}", "{feed_id}%", "{feed_id:%Y}"),
    ],
)
def test_what_only_looks_like_a_field_is_text(text: str) -> None:
    @locked(text, using="memory")
    def import_feed(feed_id: Any) -> None: ...


HINTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"timeout": 5}, ["lease=", "wait="]),
    ({"expire": 5}, ["lease="]),
    ({"ttl": 5}, ["lease="]),
    ({"blocking": False}, ["wait=0"]),
    ({"blocking_timeout": 5}, ["wait="]),
    ({"id": "x"}, ["token=", "label="]),
]


@pytest.mark.parametrize(("options", "hints"), HINTS)
@pytest.mark.parametrize("make", [lock, locked, locked_view])
def test_options_of_other_libraries(make: Any, options: dict[str, Any], hints: list[str]) -> None:
    with pytest.raises(TypeError) as caught:
        make("x", **options)
    assert_hints(caught.value, hints)


@pytest.mark.parametrize("name", ["x", ["x", "y"]])
@pytest.mark.parametrize(
    ("verb", "options", "hints"),
    [
        ("acquire", {"blocking": False}, ["wait=0"]),
        ("acquire", {"timeout": 5}, ["wait="]),
        ("acquire", {"blocking_timeout": 5}, ["wait="]),
        ("acquire", {"lease": 5}, ["lock(..., lease=...)"]),
        ("acquire", {"wiat": 5}, ["wait="]),
        ("extend", {"additional_time": 5}, ["lease="]),
        ("extend", {"ttl": 5}, ["lease="]),
        ("extend", {"timeout": 5}, ["lease="]),
    ],
)
def test_arguments_of_other_libraries(
    name: Any, verb: str, options: dict[str, Any], hints: list[str]
) -> None:
    handle = lock(name, using="memory")
    with pytest.raises(TypeError) as caught:
        getattr(handle, verb)(**options)
    assert_hints(caught.value, hints)
    with pytest.raises(TypeError) as caught:
        asyncio.run(getattr(handle, f"a{verb}")(**options))
    assert_hints(caught.value, hints)
    assert not handle.held


@pytest.mark.parametrize("flag", [True, False])
def test_whether_to_block_is_no_number_of_seconds(flag: bool) -> None:
    with pytest.raises((TypeError, ValueError), match="wait must be.*wait=0"):
        lock("x", using="memory").acquire(flag)


def assert_hints(error: BaseException, hints: list[str]) -> None:
    assert [hint for hint in hints if hint not in str(error)] == []
    # No class of ours: who reads it has written ``lock``.
    assert [name for name in ("Handle", "Lock", "Terms") if name in str(error)] == []


@pytest.mark.parametrize(
    ("field", "middleware"),
    [
        ("{request.user.pk}", "django.contrib.auth.middleware.AuthenticationMiddleware"),
        ("{request.session.session_key}", "django.contrib.sessions.middleware.SessionMiddleware"),
        ("{request.site.id}", "django.contrib.sites.middleware.CurrentSiteMiddleware"),
    ],
)
def test_a_request_that_no_middleware_has_prepared(field: str, middleware: str) -> None:
    made = request()
    del made.user
    view: Any = locked_view(field, using="memory")(lambda request: None)
    with pytest.raises(ValueError, match=rf"{middleware} in MIDDLEWARE"):
        view(made)

    async def coroutine(request: Any) -> None: ...

    with pytest.raises(ValueError, match=rf"{middleware} in MIDDLEWARE"):
        asyncio.run(locked_view(field, using="memory")(coroutine)(made))


@pytest.mark.parametrize(
    "decorate", [locked, locked_view, locked_method], ids=["locked", "view", "method"]
)
@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("token", r"no option 'token' here: a token belongs to one hold.*lock\(name, token="),
        ("what", r"no option 'what' here.*Write label="),
        ("wiat", r"'wiat'\. Did you mean 'wait'\?"),
        ("onbusy", r"'onbusy'\. Did you mean 'on_busy'\?"),
        ("on_lots", r"'on_lots'\. Did you mean 'on_lost'\?"),
        ("colour", r"'colour'\. The options are .*on_busy.* using, lease"),
    ],
)
def test_an_option_that_calls_do_not_have_is_refused_when_decorating(
    decorate: Any, option: str, says: str
) -> None:
    with pytest.raises(TypeError, match=says) as caught:
        decorate("feed", **{option: "x"})
    assert "token, " not in str(caught.value)


@pytest.mark.parametrize("option", ["stauts", "method", "on_unavailabel"])
def test_a_misspelled_option_of_a_view_names_the_one_that_was_meant(option: str) -> None:
    with pytest.raises(TypeError, match=r"Did you mean '(status|methods|on_unavailable)'\?"):
        locked_view("feed", **{option: "x"})  # type: ignore[call-arg]


def test_a_decorator_without_its_name_says_so_however_the_function_is_called() -> None:
    @locked
    def import_feed(feed_id: int) -> None: ...

    @locked_view
    def book(request: Any, event_id: int) -> None: ...

    for call in (lambda: import_feed(7), lambda: import_feed(feed_id=7), import_feed):
        with pytest.raises(TypeError, match=r'needs the name of the lock: @locked\("feed'):
            call()
    for call in (lambda: book(request()), lambda: book(request(), event_id=7)):
        with pytest.raises(TypeError, match=r'needs the name of the lock: @locked_view\("event'):
            call()


def test_a_class_decorated_without_a_name_says_how_a_class_is_decorated() -> None:
    with pytest.raises(TypeError, match=r"not the class Event.*method_decorator.*LockedViewMixin"):

        @locked_view  # type: ignore[arg-type]
        class Event(View): ...
