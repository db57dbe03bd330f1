"""Class views under a lock."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import Any

import pytest
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import View

from django_redislock import LockedViewMixin, LockNotAcquired, lock, locked_view
from django_redislock.attributes import unknown_attributes

from .requests import content, holds, problem, request

OPTIONS: dict[str, Any] = {"using": "memory"}


def says(request: Any, event_id: int) -> HttpResponse:
    held = request.lock
    return HttpResponse(f"{held.name} {holds(held.name, 'memory')} {held.holder.what}")


class Sale(View):
    def post(self, request: HttpRequest, event_id: int) -> HttpResponse:
        return says(request, event_id)

    def get(self, request: HttpRequest, event_id: int) -> HttpResponse:
        return HttpResponse("look")


class MixedIn(LockedViewMixin, Sale):
    lock_name = "event:{event_id}"
    lock_options = {"using": "memory"}


@method_decorator(locked_view("event:{event_id}", **OPTIONS), name="dispatch")
class Decorated(Sale):
    pass


def traced(view: Any) -> Any:
    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return wrapper


@method_decorator([never_cache, locked_view("event:{event_id}", **OPTIONS), traced], "dispatch")
class AmongOthers(Sale):
    pass


@method_decorator(never_cache, "dispatch")
class NeverCached(Sale):
    pass


class Handler(Sale):
    @method_decorator(never_cache)
    @method_decorator(locked_view("event:{event_id}", **OPTIONS))
    @method_decorator(traced)
    def post(self, request: HttpRequest, event_id: int = 4) -> HttpResponse:
        return says(request, event_id)


VIEWS = {
    "MixedIn": MixedIn.as_view(),
    "Decorated": Decorated.as_view(),
    "AmongOthers": AmongOthers.as_view(),
    "Handler": Handler.as_view(),
    "Sale": locked_view("event:{event_id}", **OPTIONS)(Sale.as_view()),
    "NeverCached": locked_view("event:{event_id}", **OPTIONS)(NeverCached.as_view()),
}
urlpatterns = [path(f"{name}/<int:event_id>/", view) for name, view in VIEWS.items()]


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("name", VIEWS)
def test_every_kind_of_class_view_runs_under_the_lock(client: Client, name: str) -> None:
    what = f"{__name__}.{name}"
    assert content(client.post(f"/{name}/4/")) == f"event:4 1 {what}"
    assert holds("event:4", "memory") == 0
    with lock("event:4", using="memory"):
        response = client.post(f"/{name}/4/")
        assert problem(response)["status"] == response.status_code == 423
        assert client.post(f"/{name}/5/").status_code == 200
        assert client.get(f"/{name}/4/").status_code == (200 if name == "Handler" else 423)


def test_defaults_of_a_handlers_arguments_can_be_in_the_name() -> None:
    assert content(Handler.as_view()(request())).startswith("event:4 1")


class Everything(LockedViewMixin, View):
    lock_wait = 0.01
    lock_status = 409
    lock_methods = ("POST",)
    lock_options = {"using": "memory", "lease": 33, "limit": 1, "label": "sale"}

    def lock_name(self, request: HttpRequest, *args: Any, **kwargs: Any) -> str:
        return f"{request.method}:{self.kwargs['event_id']}"

    def post(self, request: Any, event_id: int) -> HttpResponse:
        return HttpResponse(f"{request.lock.name} {20 < request.lock.remaining() <= 33}")

    def get(self, request: Any, event_id: int) -> HttpResponse:
        return HttpResponse(f"{request.lock}")


class Polite(Everything):
    def lock_on_busy(self, request: HttpRequest, error: LockNotAcquired) -> HttpResponse:
        return HttpResponse(f"{self.kwargs} {error.name}", status=202)


def test_the_attributes_of_the_mixin_are_the_options() -> None:
    view = Everything.as_view()
    assert content(view(request(), event_id=4)) == "POST:4 True"
    assert content(view(request("GET"), event_id=4)) == "None"
    with lock("POST:4", using="memory"):
        assert view(request(), event_id=4).status_code == 409
        assert content(Polite.as_view()(request(), event_id=4)) == "{'event_id': 4} POST:4"


class Preflight(LockedViewMixin, View):
    lock_name = "event"
    lock_options = OPTIONS

    def options(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse(f"{request.lock}")


@pytest.mark.parametrize(("methods", "status"), [(None, 200), (["options"], 423), (["POST"], 200)])
def test_a_preflight_request_takes_no_lock_unless_its_method_is_named(
    methods: Any, status: int
) -> None:
    view = Preflight.as_view(lock_methods=methods)
    with lock("event", using="memory"):
        response = view(request("OPTIONS"))
    assert response.status_code == status
    assert status != 200 or content(response) == "None"


def say_busy(request: HttpRequest, error: LockNotAcquired) -> HttpResponse:
    return HttpResponse(f"{error.name} is busy", status=202)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"lock_status": 400}, "status must be one of 423, 409, 429, 503, not 400"),
    ({"lock_wait": -1}, "wait must be 0 or more seconds, not -1"),
    ({"lock_methods": "POST"}, r"methods must be a list such as \[.POST.\], not 'POST'"),
    ({"lock_methods": ["PSOT"]}, "methods has PSOT, which Django's views do not know"),
    ({"lock_on_busy": "skip"}, "on_busy must be a callable that gets the request and the error"),
    ({"lock_on_unavailable": "go"}, "on_unavailable must be 'refuse' or 'proceed', not 'go'"),
    ({"lock_options": {"lease": -1}}, "lease must be at least 0.02 seconds, not -1"),
    ({"lock_options": {"leese": 5}}, "Did you mean 'lease'"),
    ({"lock_options": {"wait": 5}}, "Write the wait in lock_wait, not in lock_options"),
    ({"lock_options": None}, "lock_options is a dictionary of options, not None"),
    ({"lock_name": "event:%s"}, "'event:%s' would be one lock for all calls"),
    ({"lock_name": 7}, "The name of a lock is a template, a list of templates"),
]


@pytest.mark.parametrize(("attributes", "says"), MISTAKES, ids=str)
def test_a_wrong_attribute_is_refused_before_any_request(
    attributes: dict[str, Any], says: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        type("Wrong", (MixedIn,), attributes)
    with pytest.raises((TypeError, ValueError), match=rf"{__name__}\.MixedIn: .*{says}"):
        MixedIn.as_view(**attributes)


def test_the_error_for_an_uncallable_busy_answer_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"lock_on_busy takes other.* say_busy\(self, request, err"):
        type("Wrong", (MixedIn,), {"lock_on_busy": say_busy})
    with pytest.raises(TypeError, match=r"lock_on_busy takes other.* write len\(request, error\)"):
        MixedIn.as_view(lock_on_busy=len)
    view = type("Right", (MixedIn,), {"lock_on_busy": staticmethod(say_busy)}).as_view()
    with lock("event:4", using="memory"):
        assert content(view(request(), event_id=4)) == "event:4 is busy"
        answer = MixedIn.as_view(lock_on_busy=say_busy)(request(), event_id=4)
        assert content(answer) == "event:4 is busy"


def of_visitors(request: HttpRequest, event_id: int) -> str:
    return f"visitors:{event_id}"


def of_any(request: HttpRequest, **kwargs: int) -> str:
    return "visitors"


@pytest.mark.parametrize("name", [lambda request: "visitors", of_any])
def test_the_error_for_a_function_that_becomes_a_method_says_what_to_write(name: Any) -> None:
    with pytest.raises(TypeError, match=r"Wrong: lock_name is a method here.*staticmethod\("):
        type("Wrong", (MixedIn,), {"lock_name": name})
    for view in (
        type("Right", (MixedIn,), {"lock_name": staticmethod(of_visitors)}).as_view(),
        MixedIn.as_view(lock_name=of_visitors),
    ):
        assert content(view(request(), event_id=4)).startswith("visitors:4 1")


def test_the_arguments_of_as_view_come_before_the_attributes() -> None:
    view = MixedIn.as_view(lock_name="sale:{event_id}", lock_status=409)
    assert content(view(request(), event_id=4)).startswith("sale:4 1")
    with lock("sale:4", using="memory"):
        assert view(request(), event_id=4).status_code == 409
        assert MixedIn.as_view()(request(), event_id=4).status_code == 200


class ByRequest(MixedIn):
    @property
    def lock_status(self) -> int:  # type: ignore[override] # a property in place of a value
        return 429 if self.request.method == "GET" else 409

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.lock_name = f"{request.method}:{{event_id}}"


def test_attributes_that_depend_on_the_request_are_read_for_each() -> None:
    view = ByRequest.as_view()
    assert content(view(request(), event_id=4)).startswith("POST:4 1")
    with lock("POST:4", using="memory"), lock("GET:4", using="memory"):
        assert view(request(), event_id=4).status_code == 409
        assert view(request("GET"), event_id=4).status_code == 429


def test_a_mixin_without_a_name_is_refused() -> None:
    class Nameless(LockedViewMixin, View):
        pass

    with pytest.raises(ImproperlyConfigured, match=r"Nameless needs the attribute lock_name: .*"):
        Nameless.as_view()(request())


def test_a_get_lock_name_that_nothing_calls_is_a_warning_of_the_checks() -> None:
    wrong = type("Wrong", (MixedIn,), {"get_lock_name": lambda self, request: "event"})
    assert unknown_attributes.pop(wrong) == ["get_lock_name"]


@pytest.mark.urls(__name__)
def test_a_user_without_permission_never_takes_the_lock(client: Client) -> None:
    class Members(LoginRequiredMixin, MixedIn):
        pass

    with lock("event:4", using="memory"):
        made = request()
        made.user = type("Nobody", (), {"is_authenticated": False})()
        assert Members.as_view()(made, event_id=4).status_code == 302


def test_the_errors_for_a_class_and_a_plain_method_say_what_to_write() -> None:
    with pytest.raises(
        TypeError, match=r"class Sale: write @method_decorator\(locked_view\(\.\.\."
    ):
        locked_view("event")(Sale)
    with pytest.raises(TypeError, match=r"Sale\.post is a method: write @method_decorator\(locked"):
        locked_view("event")(Sale.post)


def test_a_field_that_a_handler_lacks_is_refused_at_its_first_request() -> None:
    class Wrong(Sale):
        @method_decorator(locked_view("event:{event}", **OPTIONS))
        def post(self, request: HttpRequest, event_id: int) -> HttpResponse: ...

    with pytest.raises(ValueError, match=r"{event}, which is not an argument of .*\.Wrong\(reques"):
        Wrong.as_view()(request(), event_id=4)


def test_the_attributes_have_the_defaults_of_the_decorator() -> None:
    of_decorator = inspect.signature(locked_view).parameters
    for name in ("wait", "status", "methods", "on_busy", "on_unavailable"):
        assert getattr(LockedViewMixin, f"lock_{name}") == of_decorator[name].default, name
