"""Responses to requests that found the view busy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.template import TemplateDoesNotExist
from django.utils import translation
from django.views.decorators.cache import cache_control

from django_redislock import (
    LockLost,
    LockNotAcquired,
    LockUnavailable,
    busy_response,
    lock,
    locked_view,
)
from django_redislock.views.responses import unavailable_response

from .requests import BROWSER, content, problem, request


@locked_view("event", using="memory")
def view(request: HttpRequest) -> HttpResponse:
    raise AssertionError("it ran")


def busy(accept: str | None) -> Any:
    with lock("event", using="memory", lease=600, label="Ada"):
        return view(request(accept=accept))


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "application/json",
        "application/problem+json",
        "application/json, text/html;q=0.9",
        "image/png",
        "",
    ],
)
def test_a_program_gets_the_details_of_the_problem(accept: str | None) -> None:
    response = busy(accept)
    assert problem(response) == {
        "type": "about:blank",
        "title": "Locked",
        "status": 423,
        "detail": "Another request is doing this at the moment. Please try again a little later.",
        "retry_after": int(response["Retry-After"]),
        "position": 1,
    }
    assert response["Vary"] == "Accept"


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "application/json;q=0.5, text/html"])
def test_a_browser_gets_a_page(accept: str) -> None:
    response = busy(accept)
    assert response.status_code == 423
    assert 60 <= int(response["Retry-After"]) <= 72
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert response["Vary"] == "Accept"
    assert '<html lang="en-us">' in content(response)
    assert "<h1>Busy right now</h1>" in content(response)


@pytest.mark.parametrize(("options", "status"), [({}, 423), ({"status": 409}, 409)])
def test_a_lock_in_the_body_of_a_view_gets_the_same_answer(options: Any, status: int) -> None:
    def book(request: HttpRequest) -> HttpResponse:
        try:
            with lock("event", using="memory", wait=0):
                raise AssertionError("it ran")
        except LockNotAcquired as error:
            return busy_response(request, error, **options)

    with lock("event", using="memory", lease=600):
        response = book(request())
        assert problem(response)["status"] == response.status_code == status
        assert response.headers.keys() == view(request()).headers.keys()


@pytest.mark.parametrize("error", [LockUnavailable("It is away."), LockLost("It was lost."), None])
def test_other_errors_are_not_answered_as_a_busy_lock(error: Any) -> None:
    with pytest.raises(TypeError, match=r"Write `except LockNotAcquired as error:`"):
        busy_response(request(), error)


@pytest.mark.parametrize("accept", [None, BROWSER])
def test_no_cache_keeps_the_response_of_a_view_that_it_may_keep(accept: str | None) -> None:
    for refused in (
        busy_response(request(accept=accept), LockNotAcquired("It is busy."), status=423),
        unavailable_response(request(accept=accept), LockUnavailable("It is away.")),
    ):
        kept = cache_control(public=True, max_age=3600)(lambda _, it=refused: it)
        assert "no-store" in kept(request())["Cache-Control"]


def test_the_holder_and_the_name_are_never_disclosed() -> None:
    for accept in (None, BROWSER):
        text = content(busy(accept))
        assert "Ada" not in text
        assert "event" not in text


def test_the_page_is_in_the_language_and_direction_of_the_reader() -> None:
    with translation.override("ar"):
        assert '<html lang="ar" dir="rtl">' in content(busy(BROWSER))


def templates(folder: Path) -> list[dict[str, Any]]:
    return [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [folder]}]


def test_the_page_may_be_a_template_of_the_project(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "423.html").write_text(
        "{{ title }}|{{ detail }}|{{ status }}|{{ retry_after }}|{{ request.method }}"
    )
    settings.TEMPLATES = templates(tmp_path)
    settings.TEMPLATES[0]["OPTIONS"] = {
        "context_processors": ["django.template.context_processors.request"]
    }
    title, detail, *rest = content(busy(BROWSER)).split("|")
    assert title == "Busy right now"
    assert detail.startswith("Another request")
    assert (rest[0], rest[2]) == ("423", "POST")
    assert 60 <= int(rest[1]) <= 72


def test_a_mistake_in_the_template_of_the_project_is_not_hidden(
    settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "423.html").write_text("{% extends 'bse.html' %}")
    settings.TEMPLATES = templates(tmp_path)
    with pytest.raises(TemplateDoesNotExist, match="bse.html"):
        busy(BROWSER)


@pytest.mark.parametrize("none", [[], "without loaders"])
def test_the_page_does_not_depend_on_the_setting_templates(
    settings: Any, tmp_path: Path, none: Any
) -> None:
    settings.TEMPLATES = none if none == [] else templates(tmp_path)
    assert "<h1>Busy right now</h1>" in content(busy(BROWSER))


def refused(**known: Any) -> LockNotAcquired:
    return LockNotAcquired("It is busy.", **known)


@pytest.mark.parametrize(
    ("position", "estimate", "text"),
    [
        (1, 38.2, "It usually takes about 39 s."),
        (2, 38.2, "1 other was waiting already; it usually takes about 39 s."),
        (3, 1200.0, "2 others were waiting already; it usually takes about 20 min."),
        (3, 0.02, "2 others were waiting already; it usually takes about 1 s."),
        (2, None, ""),
        (None, None, ""),
    ],
)
def test_the_page_shows_how_many_requests_wait_and_how_long_it_takes(
    position: int | None, estimate: float | None, text: str
) -> None:
    error = refused(position=position, estimated_wait=estimate, retry_after=41.0)
    page = content(busy_response(request("GET", accept=BROWSER), error, status=423))
    found = re.findall(r'<p id="queue">(.*)</p>', page)
    assert found == ([text] if text else [])


def test_a_program_gets_the_position_and_the_estimate_as_numbers() -> None:
    error = refused(position=3, estimated_wait=38.2, retry_after=41.0)
    details = problem(busy_response(request(), error, status=423))
    assert (details["position"], details["estimated_wait"], details["retry_after"]) == (3, 39, 41)


def test_a_template_of_the_project_gets_the_numbers_and_the_text(
    settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "423.html").write_text("{{ position }}|{{ estimated_wait }}|{{ queue_text }}")
    settings.TEMPLATES = templates(tmp_path)
    error = refused(position=3, estimated_wait=38.2, retry_after=41.0)
    page = content(busy_response(request("GET", accept=BROWSER), error, status=423))
    assert page == "3|38.2|2 others were waiting already; it usually takes about 39 s."


def test_a_long_time_is_shown_in_minutes() -> None:
    error = refused(position=1, estimated_wait=1200.0, retry_after=1210.0)
    page = content(busy_response(request("GET", accept=BROWSER), error, status=423))
    assert "<strong>21 min</strong>" in page
    assert 'data-retry-after="1210"' in page


def test_the_script_gets_a_long_time_as_a_plain_number_in_all_languages(settings: Any) -> None:
    """With "1,210" it would retry at once, again and again; with "1.210" after a second."""
    settings.USE_THOUSAND_SEPARATOR = True
    error = refused(position=1, estimated_wait=1200.0, retry_after=1210.0)
    page = content(busy_response(request("GET", accept=BROWSER), error, status=423))
    assert re.findall(r' (?:content|data-retry-after|max)="([\d.,]+)"', page) == ["1210"] * 3


@pytest.mark.parametrize("accept", ["application/json", BROWSER])
def test_an_answer_says_why_the_lock_is_unavailable_only_with_debug(
    settings: Any, accept: str
) -> None:
    error = LockUnavailable("Redis does not answer")
    made = request("GET", accept=accept)
    assert str(error) not in content(unavailable_response(made, error))
    settings.DEBUG = True
    assert "DEBUG: Redis does not answer" in content(unavailable_response(made, error))
