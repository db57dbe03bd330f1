"""The page for people whose request found the view busy, with and without scripts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from django_redislock import lock, locked_view

from .requests import BROWSER, content


@locked_view("event", using="memory")
def view(request: HttpRequest) -> HttpResponse:
    raise AssertionError("it ran")


def page(method: str = "GET", path: str = "/events/4/?day=2&x=%C3%A4", **headers: str) -> str:
    made = RequestFactory().generic(method, path, headers={"accept": BROWSER, **headers})
    with lock("event", using="memory", lease=12.5):
        return content(view(made))


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self._href: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "a":
            self._href = dict(attrs)["href"]

    def handle_data(self, data: str) -> None:
        if self._href is not None and data.strip():
            self.found[data.strip()] = self._href
            self._href = None


def links(text: str) -> dict[str, str]:
    return Links(text).found


def test_a_read_request_gets_links_to_itself_and_to_the_page_before() -> None:
    text = page(referer="http://testserver/events/?page=2")
    assert links(text) == {
        "Try again": "/events/4/?day=2&x=%C3%A4",
        "Go back": "http://testserver/events/?page=2",
    }
    assert re.search(r'data-retry-after="1[2-5]"', text)
    # Without scripts the browser reloads the page by itself.
    assert re.search(r'<noscript><meta http-equiv="refresh" content="1[2-5]"></noscript>', text)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_form_gets_a_link_to_the_page_where_it_was_filled_in(method: str) -> None:
    text = page(method, referer="http://testserver/events/4/book/")
    assert links(text) == {"Go back and try again": "http://testserver/events/4/book/"}
    # A link would request the page without the data of the form. That is never sent by itself.
    assert "refresh" not in text
    assert links(page(method)) == {"Go back and try again": "/events/4/?day=2&x=%C3%A4"}


@pytest.mark.parametrize(
    "referer",
    [
        "http://evil.example/",
        "javascript:alert(1)",
        "//evil.example/",
        'http://testserver.evil.example/"><script>',
        "http://testserver/events/4/?day=2&x=%C3%A4",
        "",
    ],
)
def test_the_link_back_leads_only_to_another_page_of_this_site(referer: str) -> None:
    assert list(links(page(referer=referer))) == ["Try again"]


def test_a_host_that_is_not_allowed_gets_no_link_back(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["shop.example"]
    text = page(referer="http://testserver/events/")
    assert list(links(text)) == ["Try again"]


def test_a_path_cannot_break_out_of_its_link() -> None:
    text = page(path='/events/?x="><script>alert(1)</script>')
    assert "<script>alert" not in text
    made = RequestFactory().get("/", headers={"accept": BROWSER})
    made.path = "//evil.example/"
    with lock("event", using="memory"):
        assert links(content(view(made))) == {"Try again": "/%2Fevil.example/"}


def test_a_strict_content_security_policy_allows_the_whole_page() -> None:
    tags = Links(page()).tags
    assert [tag for tag, _ in tags if tag == "style"] == []
    assert [attrs for tag, attrs in tags if tag == "script" and not attrs.get("src")] == []
    assert [attrs for _, attrs in tags if any(n == "style" or n[:2] == "on" for n in attrs)] == []
    (sheet,) = (attrs["href"] for tag, attrs in tags if tag == "link" and "href" in attrs)
    (script,) = (attrs["src"] for tag, attrs in tags if tag == "script")
    assert sheet == "/static/django_redislock/try_later.css"
    assert script == "/static/django_redislock/try_later.js"


MANIFEST = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"


@pytest.mark.parametrize(
    "changed",
    [
        {"STORAGES": {"staticfiles": {"BACKEND": MANIFEST}}},  # and nothing was collected
        {"STATIC_URL": None},
        {"INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes"]},
    ],
)
def test_the_page_needs_no_static_files(
    settings: Any, tmp_path: Path, changed: dict[str, Any]
) -> None:
    settings.STATIC_ROOT = tmp_path
    for name, value in changed.items():
        setattr(settings, name, value)
    text = page()
    assert "static" not in text
    assert "<script" not in text
    assert '<meta name="color-scheme" content="light dark">' in text
    assert list(links(text)) == ["Try again"]


def test_a_custom_page_gets_the_same_context(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "423.html").write_text("{{ try_again_url }}|{{ back_url }}|{{ retry_after }}")
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [tmp_path]}
    ]
    again, back, seconds = page(referer="http://testserver/a/").split("|")
    assert (again, back) == ("/events/4/?day=2&amp;x=%C3%A4", "http://testserver/a/")
    assert seconds in ("12", "13", "14", "15")
    assert page("POST", referer="http://testserver/a/").split("|")[:2] == [
        "",
        "http://testserver/a/",
    ]
