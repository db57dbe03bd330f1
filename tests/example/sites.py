"""Requests to a running site of the example, and the contents of its page."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

from example_project.demo.sales import look
from example_project.demo.site import Site

from .processes import eventually


def post(
    site: Site, path: str, office: int | None = None, **fields: object
) -> tuple[int, Any, Any]:
    """Post as a program; return the status, the headers and the JSON of the answer."""
    port = site.port if office is None else site.offices[office]
    request = Request(
        f"http://127.0.0.1:{port}{path}",
        urlencode(fields).encode(),
        {
            "Accept": "application/json",
            "Cookie": f"csrftoken={'a' * 32}",
            "X-CSRFToken": "a" * 32,
        },
    )
    try:
        with build_opener().open(request, timeout=20) as response:
            return response.status, response.headers, json.load(response)
    except HTTPError as error:
        with error:
            body = error.read()
        is_json = error.headers.get_content_type() == "application/json"
        return error.code, error.headers, json.loads(body) if is_json else {}


def send(site: Site, tickets: int, buyers: int) -> int:
    """Put tickets on sale, and send buyers; return the status of the answer."""
    return post(site, "/rush/", tickets=tickets, buyers=buyers)[0]


def pane(site: Site, guarded: bool = True) -> Any:
    """The data that is shown for one of the two sales."""
    return look(site.port)["panes"][guarded]


def until(site: Site, condition: Callable[[Any], object]) -> Any:
    """Wait until the condition is true of the guarded sale; return the data shown then."""

    def find() -> Any:
        shown = pane(site)
        return shown if condition(shown) else None

    return eventually(find, lambda: str(look(site.port)))


def sign_in(address: str, password: str, path: str = "/admin/") -> str:
    """Sign in to the admin as a browser does; return the page at ``path``."""
    cookies = CookieJar()
    browser = build_opener(HTTPCookieProcessor(cookies))
    browser.open(f"{address}/admin/login/").close()
    token = next(cookie.value for cookie in cookies if cookie.name == "csrftoken")
    form = {
        "username": "admin",
        "password": password,
        "csrfmiddlewaretoken": token,
        "next": path,
    }
    with browser.open(f"{address}/admin/login/", urlencode(form).encode()) as response:
        page: str = response.read().decode()
    return page


class Posts:
    """Posts under way, each in a thread."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.statuses: list[int] = []

    def start(self, site: Site, path: str, office: int, **fields: object) -> None:
        def run() -> None:
            self.statuses.append(post(site, path, office, **fields)[0])

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def join(self) -> list[int]:
        for thread in self.threads:
            thread.join()
        return self.statuses
