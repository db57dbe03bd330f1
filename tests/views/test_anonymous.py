"""Locks for visitors who are not logged in, by the recipe of docs/views.md."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path
from rest_framework.decorators import api_view

from django_redislock import locked_view
from django_redislock.testing import held_elsewhere
from django_redislock.views.naming import ViewNames
from tests.docs.pages import BLOCKS, name_of

(RECIPE,) = (
    block
    for block in BLOCKS
    if name_of(block.page) == "docs/views.md" and "def visitor(" in block.code
)
recipe: dict[str, Any] = {"locked_view": locked_view}
exec(compile(RECIPE.padded, str(RECIPE.page), "exec"), recipe)  # noqa: S102 - our own page


@locked_view(recipe["visitor"])
def vote(request: Any) -> HttpResponse:
    return HttpResponse(request.lock.name)


@locked_view("vote:{request.user.pk}")
def of_users(request: HttpRequest) -> HttpResponse:
    raise AssertionError("it ran")


@locked_view("vote:{request.user.username}")
def by_name(request: HttpRequest) -> HttpResponse:
    raise AssertionError("it ran")


@locked_view("vote:{request.user.username}")
async def by_name_in_a_coroutine(request: HttpRequest) -> HttpResponse:
    raise AssertionError("it ran")


@locked_view("vote:{req.user.username}")
def by_another_word(req: HttpRequest) -> HttpResponse:
    raise AssertionError("it ran")


@locked_view("vote:{req.user.username}")
async def by_another_word_in_a_coroutine(req: HttpRequest) -> HttpResponse:
    raise AssertionError("it ran")


@locked_view("vote:{req.user.pk}")
async def held_by_users(req: Any) -> HttpResponse:
    return HttpResponse(req.lock.name)


@api_view(["GET"])
@locked_view("vote:{request.user!s}")
def by_text(request: Any) -> HttpResponse:
    raise AssertionError("it ran")


@locked_view("vote:{request.user.pk}")
def vote_of(request: Any) -> HttpResponse:
    raise AssertionError("it ran")


@locked_view("page:{page}")
def page(request: HttpRequest, page: str) -> HttpResponse:
    return HttpResponse()


@locked_view("{request.GET[q]}")
def search(request: HttpRequest) -> HttpResponse:
    return HttpResponse("found")


@locked_view("{words.GET[q]}")
async def search_in_a_coroutine(words: HttpRequest) -> HttpResponse:
    return HttpResponse("found")


@api_view(["POST"])
@locked_view("order:{request.data[order]}")
def order(request: Any) -> HttpResponse:
    return HttpResponse()


@locked_view("page:{page}")
async def page_in_a_coroutine(request: HttpRequest, page: str) -> HttpResponse:
    return HttpResponse()


@api_view(["GET"])
@locked_view("page:{page}")
def page_of_rest(request: Any, page: str) -> HttpResponse:
    return HttpResponse()


urlpatterns = [
    path("vote/", vote),
    path("search/", search),
    path("search-in-a-coroutine/", search_in_a_coroutine),
    path("order/", order),
    path("page/<str:page>/", page),
    path("page-in-a-coroutine/<str:page>/", page_in_a_coroutine),
    path("page-of-rest/<str:page>/", page_of_rest),
    path("of-users/", of_users),
    path("by-name/", by_name),
    path("by-name-in-a-coroutine/", by_name_in_a_coroutine),
    path("by-another-word/", by_another_word),
    path("by-another-word-in-a-coroutine/", by_another_word_in_a_coroutine),
    path("held-by-users/", held_by_users),
    path("by-text/", by_text),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def test_each_visitor_has_a_lock_and_keeps_it() -> None:
    one, other = Client(), Client()
    mine = one.get("/vote/").content.decode()
    assert mine == f"session:{one.session.session_key}"
    assert one.get("/vote/").content.decode() == mine
    with held_elsewhere(mine):
        assert one.get("/vote/").status_code == 423
        assert other.get("/vote/").status_code == 200


def test_a_user_has_one_lock_for_all_sessions() -> None:
    user = User.objects.create_user("ada")
    names = set()
    for _ in range(2):
        browser = Client()
        browser.force_login(user)
        names.add(browser.get("/vote/").content.decode())
    assert names == {f"user:{user.pk}"}


@pytest.mark.parametrize(
    "url",
    [
        *("of-users", "by-name", "by-name-in-a-coroutine", "by-text"),
        *("by-another-word", "by-another-word-in-a-coroutine"),
    ],
)
def test_visitors_never_share_a_lock_of_no_user(url: str) -> None:
    with pytest.raises(ValueError, match="No user is logged in"):
        Client().get(f"/{url}/")


def test_a_coroutine_view_may_name_its_request_argument_freely() -> None:
    user = User.objects.create_user("ada")
    browser = Client()
    browser.force_login(user)
    assert browser.get("/held-by-users/").content.decode() == f"vote:{user.pk}"


@pytest.mark.parametrize("url", ["page", "page-in-a-coroutine", "page-of-rest"])
def test_a_visitor_who_makes_the_name_too_long_gets_a_bad_request(url: str) -> None:
    assert Client().get(f"/{url}/{'x' * 1000}/").status_code == 200
    assert Client().get(f"/{url}/{'x' * 1020}/").status_code == 400


@pytest.mark.parametrize("url", ["search", "search-in-a-coroutine"])
@pytest.mark.parametrize("sent", [{"q": "x"}, {"q": ""}, {}])
def test_a_visitor_who_leaves_the_name_empty_gets_a_bad_request(url: str, sent: Any) -> None:
    response = Client().get(f"/{url}/", sent)
    assert response.status_code == (200 if sent.get("q") else 400)


@pytest.mark.parametrize("sent", [{"order": 7}, {"order": None}, {"order": {"pk": 7}}, {}, [7]])
def test_so_is_one_of_what_no_name_can_have(sent: Any) -> None:
    response = Client().post("/order/", sent, content_type="application/json")
    assert response.status_code == (200 if sent == {"order": 7} else 400)


@locked_view("{request.GET.q}")
def misspelt(request: HttpRequest) -> HttpResponse:
    raise AssertionError("it ran")


def test_a_field_that_no_request_has_is_a_mistake_of_the_site() -> None:
    with pytest.raises(ValueError, match="'QueryDict' object has no attribute 'q'"):
        misspelt(RequestFactory().get("/", {"q": "x"}))


def test_a_request_of_rest_framework_without_a_user_is_refused() -> None:
    with pytest.raises(ValueError, match="No user is logged in"):
        vote_of(SimpleNamespace(user=None, method="POST"))


def test_a_user_who_lacks_what_the_lock_is_named_after_is_not_said_to_be_logged_out() -> None:
    mine = RequestFactory().get("/")
    mine.user = User(pk=7, last_login=None)

    @locked_view("vote:{request.user.last_login}")
    def last_vote(request: HttpRequest) -> HttpResponse:
        raise AssertionError("it ran")

    with pytest.raises(ValueError, match="without one[.]$"):
        last_vote(mine)


@pytest.mark.parametrize(
    ("template", "mentions"),
    [
        ("{request.user.pk}", True),
        ("{request.user}", True),
        ("{request.user[a]}", True),
        ("{request.user_id}", False),
        ("{request.username}", False),
    ],
)
def test_a_template_knows_the_attributes_that_it_mentions(template: str, mentions: bool) -> None:
    signature = inspect.signature(lambda request: None)
    names = ViewNames(["a", template], signature, "shop.views.buy")
    assert names.mention("request.user") is mentions
