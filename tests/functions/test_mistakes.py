"""Mistakes of users of other libraries, which are refused with what to write instead."""

from __future__ import annotations

import asyncio
import re
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
    """An object that queues calls, like a task of Django 6, dramatiq, huey or taskiq."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.func = function


class Enqueued(Queued):
    def enqueue(self, *args: Any) -> None: ...


class Actor(Queued):
    def __call__(self, *args: Any) -> None: ...
    def send_with_options(self, *args: Any) -> None: ...


def job(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add a way to queue it to the function itself, like rq."""

    @wraps(function)
    def delay(*args: Any) -> None: ...

    function.delay = delay  # type: ignore[attr-defined]
    return function


@pytest.mark.parametrize("task", [shared_task, celery.task, Enqueued, Actor, job])
@pytest.mark.parametrize("decorate", [locked("feed"), locked_view("feed")], ids=["locked", "view"])
def test_locked_above_a_task_is_refused(task: Any, decorate: Any) -> None:
    with pytest.raises(TypeError, match=r"already a task.*below.*directly above the `def`"):

        @decorate
        @task
        def import_feed(feed_id: int) -> None: ...


def test_a_lazy_task_is_recognized_without_being_created() -> None:
    asked = []

    class Proxy:
        """A proxy that creates its task at the first access, like Celery's."""

        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            raise RuntimeError(name)

        def __call__(self) -> None: ...

    Proxy.__module__ = "celery.local"
    with pytest.raises(TypeError, match="already a task"):
        locked("feed")(Proxy())
    assert asked == []


@pytest.mark.parametrize("manager", [contextmanager, asynccontextmanager])
def test_locked_above_a_context_manager_is_refused(manager: Any) -> None:
    with pytest.raises(TypeError, match=r"context manager.*below.*directly above the `def`"):

        @locked("feed")
        @manager
        def feed(feed_id: int) -> Any:
            yield


def test_locked_above_atomic_is_accepted() -> None:
    @locked("feed", using="memory")
    @transaction.atomic
    def import_feed() -> str:
        return "imported"

    assert callable(import_feed)


@pytest.mark.parametrize("kind", [property, cached_property])
def test_locked_above_a_property_is_refused(kind: Any) -> None:
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
def test_fields_of_other_kinds_of_templates_are_refused(
    decorator: Any, function: Any, text: str, found: str
) -> None:
    with pytest.raises(ValueError, match="one lock for all calls") as caught:
        decorator(text)(function)
    assert repr(found) in str(caught.value)
    assert "{feed_id}" in str(caught.value) or "{argument}" in str(caught.value)


def test_fields_of_other_kinds_in_the_name_of_a_command_are_refused() -> None:
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
def test_text_that_only_looks_like_a_field_is_accepted(text: str) -> None:
    @locked(text, using="memory")
    def import_feed(feed_id: Any) -> None: ...


HINTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"timeout": 5}, ["lease=", "wait="]),
    ({"expire": 5}, ["lease="]),
    ({"ttl": 5}, ["lease="]),
    ({"blocking": False}, ["wait=0"]),
    ({"blocking_timeout": 5}, ["wait="]),
    ({"id": "x"}, ["token=", "label="]),
    ({"nowait": True}, ["wait=0"]),
    ({"sleep": 0.1}, ["nothing in its place", "woken"]),
    ({"thread_local": False}, ["nothing in its place", "handle"]),
    ({"context_manager_timeout": 5}, ["wait="]),
    ({"raise_on_release_error": False}, ["nothing in its place", "LockLost"]),
    ({"side_effect": None}, ["on_busy=", "acquire()"]),
    ({"xact": True}, ["nothing in its place", "atomic()"]),
]


@pytest.mark.parametrize(("options", "hints"), HINTS)
@pytest.mark.parametrize("make", [lock, locked, locked_view])
def test_the_errors_for_options_of_other_libraries_have_hints(
    make: Any, options: dict[str, Any], hints: list[str]
) -> None:
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
def test_the_errors_for_arguments_of_other_libraries_have_hints(
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
def test_a_blocking_flag_as_wait_is_refused(flag: bool) -> None:
    with pytest.raises((TypeError, ValueError), match="wait must be.*wait=0"):
        lock("x", using="memory").acquire(flag)


def assert_hints(error: BaseException, hints: list[str]) -> None:
    assert [hint for hint in hints if hint not in str(error)] == []
    # No class of ours: the reader has written ``lock``.
    names = re.findall(r"\w+", str(error))
    assert [name for name in ("Handle", "Lock", "Terms") if name in names] == []


@pytest.mark.parametrize(
    ("field", "middleware"),
    [
        ("{request.user.pk}", "django.contrib.auth.middleware.AuthenticationMiddleware"),
        ("{request.session.session_key}", "django.contrib.sessions.middleware.SessionMiddleware"),
        ("{request.site.id}", "django.contrib.sites.middleware.CurrentSiteMiddleware"),
    ],
)
def test_the_error_for_a_missing_middleware_names_it(field: str, middleware: str) -> None:
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
def test_an_option_unknown_to_calls_is_refused_when_decorating(
    decorate: Any, option: str, says: str
) -> None:
    with pytest.raises(TypeError, match=says) as caught:
        decorate("feed", **{option: "x"})
    assert "token, " not in str(caught.value)


@pytest.mark.parametrize("option", ["stauts", "method", "on_unavailabel"])
def test_the_error_for_a_misspelled_option_suggests_the_right_one(option: str) -> None:
    with pytest.raises(TypeError, match=r"Did you mean '(status|methods|on_unavailable)'\?"):
        locked_view("feed", **{option: "x"})  # type: ignore[call-arg]


def test_a_decorator_without_a_name_is_refused_at_any_kind_of_call() -> None:
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


def test_the_error_for_a_decorated_class_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"not the class Event.*method_decorator.*LockedViewMixin"):

        @locked_view  # type: ignore[arg-type]
        class Event(View): ...
