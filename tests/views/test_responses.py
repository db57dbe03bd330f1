"""What a client is told that finds a view busy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from django_redislock import lock, locked_view
from django_redislock.views.responses import retry_after

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
    }
    assert response["Vary"] == "Accept"


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "application/json;q=0.5, text/html"])
def test_a_person_gets_a_page(accept: str) -> None:
    response = busy(accept)
    assert response.status_code == 423
    assert response["Retry-After"] == "60"
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert response["Vary"] == "Accept"
    assert '<html lang="en-us">' in content(response)
    assert "<h1>Busy right now</h1>" in content(response)


def test_nobody_is_told_who_holds_the_lock_or_what_it_is_called() -> None:
    for accept in (None, BROWSER):
        text = content(busy(accept))
        assert "Ada" not in text
        assert "event" not in text


def test_the_page_is_in_the_language_and_direction_of_the_reader() -> None:
    with translation.override("ar"):
        assert '<html lang="ar" dir="rtl">' in content(busy(BROWSER))


def templates(folder: Path) -> list[dict[str, Any]]:
    return [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [folder]}]


def test_the_page_may_be_the_projects_own(settings: Any, tmp_path: Path) -> None:
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
    assert rest == ["423", "60", "POST"]


@pytest.mark.parametrize("none", [[], "without loaders"])
def test_the_page_is_there_whatever_templates_the_project_has(
    settings: Any, tmp_path: Path, none: Any
) -> None:
    settings.TEMPLATES = none if none == [] else templates(tmp_path)
    assert "<h1>Busy right now</h1>" in content(busy(BROWSER))


@pytest.mark.parametrize(
    ("seconds", "header"),
    [(None, 1), (0.0, 1), (0.01, 1), (1.0, 1), (1.01, 2), (59.5, 60), (3600.0, 60)],
)
def test_retry_after_is_in_whole_seconds_and_bounded(seconds: float | None, header: int) -> None:
    assert retry_after(seconds) == header
