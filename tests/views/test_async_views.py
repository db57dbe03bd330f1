"""Coroutine views under a lock."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.generic import View

from django_redislock import (
    LockedViewMixin,
    LockLost,
    LockNotAcquired,
    LockUnavailable,
    lock,
    lock_backends,
    locked_view,
)

from .requests import BROWSER, content, holds, problem, request


def locked_async(name: Any, alias: str, **options: Any) -> Any:
    @locked_view(name, using=alias, **options)
    async def view(request: Any, event_id: int = 0) -> HttpResponse:
        await asyncio.sleep(0)
        return HttpResponse(f"{request.lock.name} {holds(request.lock.name, alias)}")

    return view


async def test_a_coroutine_view_runs_under_the_lock_to_its_end(alias: str) -> None:
    view = locked_async("event:{event_id}", alias)
    assert inspect.iscoroutinefunction(view)
    assert content(await view(request(), event_id=4)) == "event:4 1"
    assert holds("event:4", alias) == 0


@pytest.mark.parametrize("accept", [None, BROWSER])
async def test_a_coroutine_view_does_not_run_while_its_lock_is_busy(
    alias: str, accept: str | None
) -> None:
    view = locked_async("event", alias)
    async with lock("event", using=alias, lease=40):
        response = await view(request(accept=accept))
    assert response.status_code == 423
    assert 25 <= int(response["Retry-After"]) <= 48


async def test_a_request_waits_without_blocking_the_event_loop(alias: str) -> None:
    view = locked_async("event", alias, wait=30)
    held = lock("event", using=alias)
    assert await held.aacquire()
    waiting = asyncio.create_task(view(request()))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await held.arelease()
    assert content(await waiting) == "event 1"


async def test_a_client_that_goes_away_leaves_no_lock_behind(alias: str) -> None:
    begun = asyncio.Event()

    @locked_view("event", using=alias)
    async def view(request: HttpRequest) -> HttpResponse:
        begun.set()
        await asyncio.sleep(60)
        return HttpResponse()

    task = asyncio.create_task(view(request()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert holds("event", alias) == 0


async def test_names_and_answers_may_come_from_functions_and_coroutine_functions() -> None:
    async def name(request: HttpRequest, event_id: int) -> str:
        return f"event:{event_id}"

    async def instead(request: HttpRequest, error: LockNotAcquired) -> HttpResponse:
        return HttpResponse(error.name, status=202)

    class Named:
        async def __call__(self, request: HttpRequest, event_id: int) -> str:
            return await name(request, event_id)

    view = locked_async(Named(), "memory")
    assert content(await view(request(), event_id=4)) == "event:4 1"
    view = locked_async(name, "memory", on_busy=instead)
    assert content(await view(request(), event_id=4)) == "event:4 1"
    async with lock("event:4", using="memory"):
        assert content(await view(request(), event_id=4)) == "event:4"
    view = locked_async("a", "memory", on_busy=lambda request, error: HttpResponse("sync"))
    async with lock("a", using="memory"):
        assert content(await view(request())) == "sync"


async def test_other_methods_need_no_lock() -> None:
    @locked_view("event", using="memory", methods=["POST"])
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(f"{request.lock}")

    async with lock("event", using="memory"):
        assert content(await view(request("GET"))) == "None"
        assert (await view(request("POST"))).status_code == 423


async def test_without_redis_a_coroutine_view_is_refused_or_proceeds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def aacquire(*args: Any) -> Any:
        raise LockUnavailable("no answer")

    @locked_view("event", using="memory", on_unavailable="proceed")
    async def proceeds(request: Any) -> HttpResponse:
        return HttpResponse(f"{request.lock}")

    monkeypatch.setattr(lock_backends["memory"], "aacquire", aacquire)
    response = await locked_async("event", "memory")(request())
    assert response.status_code == problem(response)["status"] == 503
    assert content(await proceeds(request())) == "None"
    assert "runs without its lock: no answer" in caplog.text


async def test_a_coroutine_view_that_lost_its_lock_sends_no_answer() -> None:
    @locked_view("event", using="memory")
    async def view(request: Any) -> HttpResponse:
        assert lock_backends["memory"].force_release("event", request.lock.token)
        return HttpResponse("done")

    with pytest.raises(LockLost):
        await view(request())


class ByMixin(LockedViewMixin, View):
    lock_name = "checkout:{request.user.pk}"
    lock_options = {"using": "memory"}

    async def post(self, request: Any, **kwargs: Any) -> HttpResponse:
        await asyncio.sleep(0)
        return HttpResponse(f"{request.lock.name} {holds(request.lock.name, 'memory')}")


@method_decorator(locked_view("checkout:{request.user.pk}", using="memory"), name="dispatch")
class ByDecorator(View):
    post = ByMixin.post


class ByHandler(View):
    @method_decorator(locked_view("checkout:{request.user.pk}", using="memory"))
    async def post(self, request: Any) -> HttpResponse:
        return await ByMixin.post(self, request)


@locked_view("checkout:{request.user.pk}", using="memory")
async def by_function(request: Any) -> HttpResponse:
    return await ByMixin.post(None, request)


by_as_view = locked_view("checkout:{request.user.pk}", using="memory")(
    type("Unlocked", (View,), {"post": ByMixin.post}).as_view()
)

ASYNC_VIEWS = {
    "mixin": ByMixin.as_view(),
    "decorator": ByDecorator.as_view(),
    "handler": ByHandler.as_view(),
    "function": by_function,
    "as_view": by_as_view,
}


@locked_view("event", using="memory")
async def open_to_all(request: HttpRequest) -> HttpResponse:
    raise AssertionError("it ran")


@locked_view("basket:{request.session[basket]}", using="memory")
async def basket(request: Any) -> HttpResponse:
    return HttpResponse(request.lock.name)


def who(request: Any) -> str:
    return str(request.user.get_username())


@locked_view("event", using="memory", label=who)
async def labelled(request: Any) -> HttpResponse:
    return HttpResponse(request.lock.holder.label)


def basket_of(request: Any) -> str:
    return f"basket:{request.user.get_username()}"


@locked_view(basket_of, using="memory")
async def named_by_function(request: Any) -> HttpResponse:
    return HttpResponse(request.lock.name)


def say_busy(request: Any, error: LockNotAcquired) -> HttpResponse:
    return HttpResponse(f"{request.user.get_username()} finds {error.name} busy")


@locked_view("event", using="memory", on_busy=say_busy)
async def answered_by_function(request: Any) -> HttpResponse: ...


urlpatterns = [
    path("answered_by_function/", answered_by_function),
    path("named_by_function/", named_by_function),
    path("open_to_all/", open_to_all),
    path("basket/", basket),
    path("labelled/", labelled),
]
urlpatterns += [path(f"{name}/", view) for name, view in ASYNC_VIEWS.items()]


@pytest.mark.urls(__name__)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ASYNC_VIEWS)
async def test_every_kind_of_async_view_knows_the_user_of_the_session(name: str) -> None:
    user = await get_user_model().objects.acreate_user("ada")
    client = AsyncClient()
    await client.aforce_login(user)
    response = await client.post(f"/{name}/")
    assert content(response) == f"checkout:{user.pk} 1"
    assert holds(f"checkout:{user.pk}", "memory") == 0

    async with lock(f"checkout:{user.pk}", using="memory"):
        assert (await client.post(f"/{name}/")).status_code == 423


@pytest.mark.urls(__name__)
@pytest.mark.django_db(transaction=True)
async def test_a_label_may_name_the_user() -> None:
    client = AsyncClient()
    await client.aforce_login(await get_user_model().objects.acreate_user("ada"))
    assert content(await client.get("/labelled/")) == "ada"


@pytest.mark.urls(__name__)
@pytest.mark.django_db(transaction=True)
async def test_a_function_for_the_name_may_query_the_database() -> None:
    client = AsyncClient()
    await client.aforce_login(await get_user_model().objects.acreate_user("ada"))
    assert content(await client.get("/named_by_function/")) == "basket:ada"


@pytest.mark.urls(__name__)
@pytest.mark.django_db(transaction=True)
async def test_a_function_for_the_busy_answer_may_query_the_database() -> None:
    client = AsyncClient()
    await client.aforce_login(await get_user_model().objects.acreate_user("ada"))
    async with lock("event", using="memory"):
        assert content(await client.get("/answered_by_function/")) == "ada finds event busy"


@pytest.mark.urls(__name__)
@pytest.mark.django_db(transaction=True)
async def test_a_custom_busy_page_may_query_the_database(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "423.html").write_text("{{ user.username }}, {{ detail }}")
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [tmp_path]}]
    client = AsyncClient()
    await client.aforce_login(await get_user_model().objects.acreate_user("ada"))
    async with lock("event", using="memory"):
        response = await client.get("/open_to_all/", headers={"accept": BROWSER})
    assert content(response).startswith("ada, Another request")


@pytest.mark.urls(__name__)
@pytest.mark.django_db(transaction=True)
async def test_a_template_of_a_name_may_read_the_session() -> None:
    client = AsyncClient()
    session = await client.asession()
    await session.aset("basket", 5)
    await session.asave()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    assert content(await client.post("/basket/")) == "basket:5"
