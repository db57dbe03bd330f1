"""Function views under a lock."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from django_redislock import (
    LockLost,
    LockNotAcquired,
    LockUnavailable,
    lock,
    lock_backends,
    locked_view,
)

from .requests import content, holds, problem, request


def says_what_it_holds(name: str, alias: str, **options: Any) -> Any:
    @locked_view(name, using=alias, **options)
    def view(request: HttpRequest, event_id: int = 0) -> HttpResponse:
        held = request.lock
        return HttpResponse(f"{held.name} {held.held} {holds(held.name, alias)}")

    return view


def test_a_view_runs_under_the_lock_of_its_request(alias: str) -> None:
    view = says_what_it_holds("checkout:{request.user.pk}", alias)
    assert content(view(request(user=7))) == "checkout:7 True 1"
    assert holds("checkout:7", alias) == 0


@pytest.mark.parametrize(("args", "kwargs"), [((), {"event_id": 4}), ((4,), {})])
def test_a_lock_is_named_after_the_arguments_of_the_url(args: Any, kwargs: Any) -> None:
    view = says_what_it_holds("event:{event_id}", "memory")
    assert content(view(request(), *args, **kwargs)) == "event:4 True 1"
    assert content(view(request())) == "event:0 True 1"


def test_the_first_argument_is_the_request_under_any_name() -> None:
    @locked_view("{request.method}:{req.method}", using="memory")
    def view(req: Any) -> HttpResponse:
        return HttpResponse(req.lock.name)

    assert content(view(request())) == "POST:POST"


def test_a_callable_for_the_name_gets_the_arguments_of_the_view() -> None:
    def name(request: HttpRequest, event_id: int) -> str:
        return f"{request.method}/{event_id}"

    view = says_what_it_holds(name, "memory")
    assert content(view(request(), event_id=4)) == "POST/4 True 1"


def test_a_view_may_have_several_locks() -> None:
    @locked_view(["event:{event_id}", "user:{request.user.pk}"], using="memory")
    def view(request: Any, event_id: int) -> HttpResponse:
        return HttpResponse(" ".join(request.lock.names))

    assert content(view(request(), event_id=4)) == "event:4 user:1"
    with lock("user:1", using="memory"):
        assert view(request(), event_id=4).status_code == 423
    assert holds("event:4", "memory") == 0


def test_a_busy_view_does_not_run_and_does_not_wait(alias: str) -> None:
    @locked_view("event", using=alias)
    def view(request: HttpRequest) -> HttpResponse:
        raise AssertionError("it ran")

    with lock("event", using=alias, lease=40):
        response = view(request())
    assert response.status_code == 423
    assert 25 <= int(response["Retry-After"]) <= 48


@pytest.mark.parametrize("status", [409, 429, 503])
def test_the_status_of_a_busy_view_can_be_chosen(status: int) -> None:
    view = says_what_it_holds("event", "memory", status=status)
    with lock("event", using="memory"):
        response = view(request())
    assert response.status_code == problem(response)["status"] == status


def test_a_request_may_wait(alias: str) -> None:
    view = says_what_it_holds("event", alias, wait=30)
    held = lock("event", using=alias)
    assert held.acquire()
    threading.Timer(0.1, held.release).start()
    assert content(view(request())) == "event True 1"


@pytest.mark.parametrize(
    ("methods", "method", "is_locked"),
    [
        (None, "PURGE", True),
        (None, "OPTIONS", False),
        (["POST"], "POST", True),
        (["post"], "POST", True),
        (["POST"], "GET", False),
        (("PUT", "PATCH"), "PATCH", True),
        (["GET"], "HEAD", True),
        (["HEAD"], "GET", False),
    ],
)
def test_the_lock_is_for_the_given_methods_only(methods: Any, method: str, is_locked: bool) -> None:
    @locked_view("event", using="memory", methods=methods)
    def view(request: Any) -> HttpResponse:
        return HttpResponse(f"{request.lock}")

    assert (content(view(request(method))) != "None") is is_locked
    with lock("event", using="memory"):
        assert view(request(method)).status_code == (423 if is_locked else 200)


def test_a_callable_answers_instead() -> None:
    def instead(request: HttpRequest, error: LockNotAcquired) -> HttpResponse:
        return HttpResponse(f"{request.method} {error.name} {error.holder is not None}", status=202)

    view = says_what_it_holds("event", "memory", on_busy=instead)
    with lock("event", using="memory"):
        response = view(request())
    assert (response.status_code, content(response)) == (202, "POST event True")


@pytest.mark.parametrize("template", ["{request.user.pk}", "{request.user.pk!s}"])
def test_a_name_with_a_user_needs_a_logged_in_user(template: str) -> None:
    view = says_what_it_holds(f"checkout:{template}", "memory")
    made = request()
    made.user = AnonymousUser()
    with pytest.raises(ValueError, match="No user is logged in"):
        view(made)


def test_the_error_for_other_missing_values_does_not_mention_logging_in() -> None:
    view = says_what_it_holds("event:{event_id}", "memory")
    with pytest.raises(ValueError, match=r"for all without one\.$"):
        view(request(), event_id=None)
    view = says_what_it_holds("user:{request.user.name}", "memory")
    with pytest.raises(ValueError, match=r"has no attribute 'name'\.$"):
        view(request())


def test_an_error_of_the_view_is_raised_and_the_lock_released(alias: str) -> None:
    @locked_view("event", using=alias, on_unavailable="proceed")
    def view(request: HttpRequest, error: Exception) -> HttpResponse:
        raise error

    for error in (KeyError(), LockNotAcquired("inner"), LockUnavailable("inner")):
        with pytest.raises(type(error)) as caught:
            view(request(), error)
        assert caught.value is error
        assert holds("event", alias) == 0


def test_a_view_that_lost_its_lock_sends_no_answer() -> None:
    backend = lock_backends["memory"]

    @locked_view("event", using="memory")
    def view(request: Any) -> HttpResponse:
        assert backend.force_release("event", request.lock.token)
        return HttpResponse("done")

    with pytest.raises(LockLost):
        view(request())


def test_the_holder_is_the_view_with_its_label() -> None:
    @locked_view("event", using="memory", label=lambda request: f"user {request.user.pk}")
    def view(request: Any) -> HttpResponse:
        holder = request.lock.holder
        return HttpResponse(f"{holder.what} {holder.label}")

    assert content(view(request())) == f"{__name__}.{view.__qualname__} user 1"


def test_options_reach_the_lock() -> None:
    @locked_view("event", using="memory", limit=3, lease=33, renew=False, max_hold=44)
    def view(request: Any) -> HttpResponse:
        (hold,), _ = lock_backends["memory"].inspect("event")
        return HttpResponse(f"{hold.limit} {hold.lease}")

    assert content(view(request())) == "3 33.0"


def test_attributes_of_the_view_are_kept() -> None:
    @locked_view("event")
    @csrf_exempt
    def view(request: HttpRequest) -> HttpResponse:
        """Sell."""
        return HttpResponse()

    assert view.csrf_exempt
    assert (view.__name__, view.__doc__) == ("view", "Sell.")


@pytest.fixture
def redis_is_down(settings: Any) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }


@pytest.mark.usefixtures("redis_is_down")
def test_without_redis_a_view_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    @locked_view("event")
    def view(request: HttpRequest) -> HttpResponse:
        raise AssertionError("it ran")

    response = view(request())
    assert response.status_code == problem(response)["status"] == 503
    assert response["Retry-After"] == "5"
    assert "it could not be done safely" in problem(response)["detail"]
    (record,) = [one for one in caplog.records if view.__qualname__ in one.message]
    assert record.levelno == logging.ERROR
    assert f"{__name__}.{view.__qualname__} was not run: The lock 'event'" in record.message


@pytest.mark.usefixtures("redis_is_down")
def test_a_view_may_proceed_without_redis_by_choice(caplog: pytest.LogCaptureFixture) -> None:
    @locked_view("event", on_unavailable="proceed")
    def view(request: Any) -> HttpResponse:
        return HttpResponse(f"{request.lock}")

    assert content(view(request())) == "None"
    (record,) = [one for one in caplog.records if view.__qualname__ in one.message]
    assert record.levelno == logging.WARNING
    assert "runs without its lock" in record.message


def test_the_error_for_a_missing_name_says_what_to_write() -> None:
    @locked_view
    def view(request: HttpRequest) -> HttpResponse: ...

    with pytest.raises(
        TypeError, match=r'needs the name of the lock: @locked_view\("event:{event_'
    ):
        view(request())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"status": 423.0}, ValueError, "status must be one of 423, 409, 429, 503, not 423.0"),
        ({"status": 200}, ValueError, "status must be one of 423, 409, 429, 503, not 200"),
        ({"on_unavailable": "run"}, ValueError, "must be 'refuse' or 'proceed', not 'run'"),
        ({"wait": -1}, ValueError, "wait must be 0 or more seconds, not -1"),
        ({"methods": "POST"}, TypeError, r"""methods must be a list such as \["POST"\], not 'PO"""),
        ({"methods": ["PSOT"]}, ValueError, "methods has PSOT, which Django's views do not know"),
        ({"on_busy": "skip"}, TypeError, "on_busy must be a callable .* not 'skip'"),
        ({"methods": []}, TypeError, r"""methods must be a list such as \["POST"\], not \[\]"""),
        ({"methods": 5}, TypeError, r"""methods must be a list such as \["POST"\], not 5"""),
    ],
)
def test_options_that_make_no_sense_are_refused_when_decorating(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        locked_view("event", **options)


def test_names_that_make_no_sense_are_refused_when_decorating() -> None:
    def view(request: HttpRequest, event_id: int) -> HttpResponse: ...

    with pytest.raises(ValueError, match=r"{event}, which is not an argument .*view\(request, ev"):
        locked_view("event:{event}")(view)


def test_a_view_that_returns_a_coroutine_is_refused() -> None:
    async def sell() -> HttpResponse:
        raise AssertionError("it ran")

    @locked_view("event", using="memory")
    def view(request: HttpRequest) -> Any:
        return sell()

    with pytest.raises(TypeError, match="returned a coroutine, which would not run under the lock"):
        view(request())
