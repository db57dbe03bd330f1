"""Views of Django REST Framework under a lock: its users, its exceptions, its renderers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import include, path
from django.utils.decorators import method_decorator
from rest_framework import exceptions, permissions, renderers, viewsets
from rest_framework.decorators import (
    action,
    api_view,
    authentication_classes,
    permission_classes,
    renderer_classes,
)
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from django_redislock import (
    LockedViewMixin,
    LockLost,
    LockUnavailable,
    lock,
    lock_backends,
    locked_view,
)

from .requests import holds
from .rest import Header, Shouting

NAME = "basket:{request.user.pk}:{pk}"
OPTIONS: dict[str, Any] = {"using": "memory"}


AUTHENTICATION = [Header]
PERMISSIONS = [permissions.IsAuthenticated]
RENDERERS = [renderers.JSONRenderer, Shouting]


def fill(request: Any, pk: int) -> Response:
    """Use ``request.data`` and ``request.user``, which only REST framework provides."""
    held = request.lock
    if request.data.get("fail"):
        raise exceptions.ValidationError({"held": holds(held.name, "memory")})
    what = held.holder.what
    return Response({"name": held.name, "held": holds(held.name, "memory"), "what": what})


class Basket:
    authentication_classes = AUTHENTICATION
    permission_classes = PERMISSIONS
    renderer_classes = RENDERERS


class MixedIn(Basket, LockedViewMixin, APIView):
    lock_name = NAME
    lock_options = {"using": "memory"}

    def post(self, request: Any, pk: int) -> Response:
        return fill(request, pk)


@method_decorator(locked_view(NAME, **OPTIONS), name="dispatch")
class Decorated(Basket, APIView):
    def post(self, request: Any, pk: int) -> Response:
        return fill(request, pk)


class Handler(Basket, APIView):
    @method_decorator(locked_view(NAME, **OPTIONS))
    def post(self, request: Any, pk: int) -> Response:
        return fill(request, pk)


@api_view(["POST"])
@authentication_classes(AUTHENTICATION)
@permission_classes(PERMISSIONS)
@renderer_classes(RENDERERS)
@locked_view(NAME, **OPTIONS)
def function(request: Any, pk: int) -> Response:
    return fill(request, pk)


@method_decorator(locked_view(NAME, **OPTIONS), name="dispatch")
class DecoratedSet(Basket, viewsets.ViewSet):
    @action(detail=True, methods=["post"])
    def fill(self, request: Any, pk: str) -> Response:
        return fill(request, int(pk))


class MixedInSet(LockedViewMixin, Basket, viewsets.ViewSet):
    lock_name = NAME
    lock_options = {"using": "memory"}

    @action(detail=True, methods=["post"])
    def fill(self, request: Any, pk: str) -> Response:
        return fill(request, int(pk))


class ActionSet(Basket, viewsets.ViewSet):
    @action(detail=True, methods=["post"])
    @method_decorator(locked_view(NAME, **OPTIONS))
    def fill(self, request: Any, pk: str) -> Response:
        return fill(request, int(pk))

    def retrieve(self, request: Any, pk: str) -> Response:
        return Response({})


class Exporting(Basket, LockedViewMixin, APIView):
    lock_name = NAME
    lock_options = {"using": "memory"}

    def post(self, request: Any, pk: int) -> StreamingHttpResponse:
        return StreamingHttpResponse(f"{holds(name, 'memory')}" for name in [request.lock.name])


class Losing(Basket, LockedViewMixin, APIView):
    lock_name = NAME
    lock_options = {"using": "memory"}

    def post(self, request: Any, pk: int) -> Response:
        held = request.lock
        assert lock_backends["memory"].force_release(held.name, held.token)
        return Response({})


@api_view(["POST"])
@locked_view("note:{request.data[title]}", **OPTIONS)
def note(request: Any) -> Response:
    return Response(request.lock.name)


router = SimpleRouter()
for viewset in (DecoratedSet, MixedInSet, ActionSet):
    router.register(viewset.__name__, viewset, basename=viewset.__name__)

urlpatterns = [
    path("MixedIn/<int:pk>/", MixedIn.as_view()),
    path("Decorated/<int:pk>/", Decorated.as_view()),
    path("Handler/<int:pk>/", Handler.as_view()),
    path("function/<int:pk>/", function),
    path("Exporting/<int:pk>/", Exporting.as_view()),
    path("Losing/<int:pk>/", Losing.as_view()),
    path("note/", note),
    path("", include(router.urls)),
]
VIEWS = {
    "MixedIn": "/MixedIn/4/",
    "Decorated": "/Decorated/4/",
    "Handler": "/Handler/4/",
    "function": "/function/4/",
    "DecoratedSet": "/DecoratedSet/4/fill/",
    "MixedInSet": "/MixedInSet/4/fill/",
    "ActionSet": "/ActionSet/4/fill/",
}
every_view = pytest.mark.parametrize("name", VIEWS)
pytestmark = pytest.mark.urls(__name__)


def post(name: str, user: int | None = 7, accept: str = "*/*", **data: Any) -> Any:
    headers = {"accept": accept} | ({"x-user": str(user)} if user else {})
    url = VIEWS.get(name, f"/{name}/4/")
    return Client().post(url, data, content_type="application/json", headers=headers)


@every_view
def test_a_view_runs_under_the_lock_of_the_frameworks_user(name: str) -> None:
    assert post(name).json() == {
        "name": "basket:7:4",
        "held": 1,
        "what": f"{__name__}.{name}",
    }
    assert holds("basket:7:4", "memory") == 0


@every_view
def test_a_busy_view_answers_by_an_exception_of_the_framework(name: str) -> None:
    with lock("basket:7:4", using="memory", lease=600):
        response = post(name, accept="text/shouting")
    assert response.status_code == 423
    assert 60 <= int(response["Retry-After"]) <= 72
    assert response["Content-Type"] == "text/shouting"
    assert response.content.startswith(b'{"DETAIL":"ANOTHER REQUEST IS DOING THIS')


@every_view
def test_a_user_without_permission_never_takes_the_lock(name: str) -> None:
    with lock("basket:None:4", using="memory"):
        assert post(name, user=None).status_code == 401


@every_view
def test_the_framework_handles_exceptions_of_the_view(name: str) -> None:
    response = post(name, fail=True)
    assert response.status_code == 400
    assert response.json() == {"held": "1"}
    assert holds("basket:7:4", "memory") == 0


@pytest.mark.parametrize("name", ["MixedIn", "DecoratedSet"])
def test_a_method_that_is_not_allowed_needs_no_lock(name: str) -> None:
    with lock("basket:7:4", using="memory"):
        response = Client().delete(VIEWS[name], headers={"x-user": "7"})
    assert response.status_code == 405


def test_only_the_actions_that_are_decorated_are_locked() -> None:
    with lock("basket:7:4", using="memory"):
        assert Client().get("/ActionSet/4/", headers={"x-user": "7"}).status_code == 200


@every_view
def test_without_redis_a_view_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def acquire(*args: Any) -> Any:
        raise LockUnavailable("no answer")

    monkeypatch.setattr(lock_backends["memory"], "acquire", acquire)
    response = post(name)
    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert "it could not be done safely" in response.json()["detail"]


@pytest.mark.parametrize(("status", "code"), [(423, "locked"), (429, "too_many_requests")])
def test_the_exception_has_a_code_and_its_cause(status: int, code: str) -> None:
    caught = []

    class Telling(MixedIn):
        lock_status = status

        def handle_exception(self, error: Exception) -> Any:
            caught.append(error)
            return super().handle_exception(error)

    from rest_framework.test import APIRequestFactory

    with lock("basket:7:4", using="memory"):
        made = APIRequestFactory().post("/", headers={"x-user": "7"})
        assert Telling.as_view()(made, pk=4).status_code == status
    (error,) = caught
    assert isinstance(error, exceptions.APIException)
    assert error.get_codes() == code
    assert error.__context__.name == "basket:7:4"


def test_a_stream_keeps_the_lock() -> None:
    response = post("Exporting")
    assert holds("basket:7:4", "memory") == 1
    assert response.getvalue() == b"1"
    assert holds("basket:7:4", "memory") == 0


def test_a_view_that_lost_its_lock_sends_no_answer() -> None:
    with pytest.raises(LockLost):
        post("Losing")


@pytest.mark.parametrize("view", [Handler.as_view(), function])
def test_locked_view_around_a_view_of_the_framework_is_refused(view: Any) -> None:
    with pytest.raises(TypeError, match=r"must be inside REST framework.*below @api_view, or"):
        locked_view("basket")(view)


WITHOUT_THE_FRAMEWORK = """
import sys, django
from django.conf import settings
settings.configure(LOCKS={"default": {"BACKEND": sys.argv[1]}})
django.setup()
from django.test import RequestFactory
from django_redislock import lock, locked_view
view = locked_view("a")(lambda request: None)
with lock("a"):
    assert view(RequestFactory().get("/")).status_code == 423
assert not [name for name in sys.modules if name.startswith("rest_framework")]
"""


def test_the_framework_is_not_imported_by_projects_without_it() -> None:
    backend = "django_redislock.backends.memory.MemoryLockBackend"
    subprocess.run([sys.executable, "-c", WITHOUT_THE_FRAMEWORK, backend], check=True, timeout=50)


@pytest.mark.parametrize("sent", [{}, {"title": None}, {"title": "x" * 1024}])
@pytest.mark.parametrize("debug", [False, True])
def test_the_framework_answers_what_no_name_can_have(sent: Any, debug: bool, settings: Any) -> None:
    settings.DEBUG = debug
    answer = Client().post("/note/", sent, content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")
    assert ("note:" in answer.json()["detail"]) is debug
