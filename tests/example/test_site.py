"""The pages of the example, served by two real processes."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

import pytest

from django_redislock.testing import held_elsewhere, override_locks
from django_redislock.testing.servers import EmbeddedServer
from example_project.demo.buyers import ask
from example_project.demo.site import Site, running_site
from example_project.settings import LOCKS

from .processes import environment, eventually

CHARGE_SECONDS = 0.4
REPORT_SECONDS = 4

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def redis() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


@pytest.fixture(scope="module")
def running(
    redis: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, EmbeddedServer]]:
    work = {"CHARGE_SECONDS": str(CHARGE_SECONDS), "REPORT_SECONDS": str(REPORT_SECONDS)}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "REDIS_URL"):
            patch.delenv(name, raising=False)
        for name, value in environment(tmp_path_factory.mktemp("site"), work).items():
            patch.setenv(name, value)
        with running_site(2, None, redis.url) as site:
            yield site, redis


@pytest.fixture
def site(running: tuple[Site, EmbeddedServer]) -> Site:
    """The site, with five tickets on sale."""
    site, redis = running
    redis.start()
    ask(site.ports[0], "POST", "/restock/", {"event": 1, "tickets": 5})
    return site


def page(site: Site, path: str = "/") -> str:
    """The page, as the text that a browser shows."""
    with build_opener().open(f"http://127.0.0.1:{site.ports[0]}{path}", timeout=20) as response:
        assert response.status == 200
        text: str = response.read().decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def post(site: Site, path: str, server: int = 0, **fields: object) -> tuple[int, Any, Any]:
    """Post as a program; return the status, the headers and the JSON of the answer."""
    request = Request(
        f"http://127.0.0.1:{site.ports[server]}{path}",
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


class Posts:
    """Posts under way, each in a thread."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.statuses: list[int] = []

    def start(self, site: Site, path: str, server: int = 0, **fields: object) -> None:
        def run() -> None:
            self.statuses.append(post(site, path, server, **fields)[0])

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def join(self) -> list[int]:
        for thread in self.threads:
            thread.join()
        return self.statuses


def until_shown(site: Site, pattern: str) -> re.Match[str]:
    found: re.Match[str] = eventually(lambda: re.search(pattern, page(site)), lambda: page(site))
    return found


def test_the_page_shows_who_holds_the_lock_of_the_report(site: Site) -> None:
    posts = Posts()
    posts.start(site, "/process/")
    shown = until_shown(site, r" report (?P<holder>.+?) \d\d:\d\d:\d\d UTC (\d+\.\d) of 10 s 0 ")
    status, headers, answer = post(site, "/process/", server=1)

    assert "process" in shown["holder"]
    assert 0 < float(shown[2]) <= 10
    assert status == 423
    assert int(headers["Retry-After"]) >= 1
    assert answer["result"] == "busy"
    assert posts.join() == [200]
    assert "No lock is held at this moment." in page(site)


def test_the_page_shows_how_many_wait(site: Site, redis: EmbeddedServer) -> None:
    posts = Posts()
    with override_locks(redis.url, KEY_PREFIX=LOCKS["default"]["KEY_PREFIX"]):
        with held_elsewhere("event:1", lease=30):
            for server in (0, 1, 0):
                posts.start(site, "/buy/", server, event=1)
            until_shown(site, r" event:1 .+ of 30 s 3 ")
        assert posts.join() == [200] * 3
    assert ask(site.ports[0], "GET", "/stock/")["stock"] == 2


def four_buyers_at_once(site: Site, guarded: str) -> tuple[int, int]:
    """Return how many tickets were sold, and how many of the five are left by the books."""
    ask(site.ports[0], "POST", "/restock/", {"event": 1, "tickets": 5})
    posts = Posts()
    for number in range(4):
        posts.start(site, "/buy/", number % 2, event=1, guarded=guarded)
    assert posts.join() == [200] * 4
    sales = ask(site.ports[0], "GET", "/stock/")
    return sales["sold"], sales["stock"]


def test_four_guarded_buyers_at_once(site: Site) -> None:
    assert four_buyers_at_once(site, "yes") == (4, 1)


def test_four_unguarded_buyers_at_once(site: Site) -> None:
    """All four see all five, where the machine lets them come together."""
    assert any(four_buyers_at_once(site, "no") == (4, 4) for _ in range(10))


def test_sold_out(site: Site) -> None:
    ask(site.ports[0], "POST", "/restock/", {"event": 1, "tickets": 0})

    status, _, answer = post(site, "/buy/", event=1)

    assert (status, answer["result"]) == (409, "sold_out")


def test_a_browser_without_scripts_can_buy(site: Site) -> None:
    cookies = CookieJar()
    browser = build_opener(HTTPCookieProcessor(cookies), HTTPRedirectHandler())
    address = f"http://127.0.0.1:{site.ports[0]}"
    with browser.open(f"{address}/") as response:
        form = response.read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert token
    fields = {"csrfmiddlewaretoken": token[1], "event": 1, "buyer": "Ada <3", "guarded": "yes"}

    with browser.open(f"{address}/buy/", urlencode(fields).encode()) as response:
        text = response.read().decode()

    assert response.url == f"{address}/"
    assert re.search(r"Sold: ticket \d+ for Ada &lt;3\.", text)


@pytest.mark.parametrize("path", ["/buy/", "/process/", "/restock/"])
def test_what_changes_something_is_posted_with_a_csrf_token(site: Site, path: str) -> None:
    address = f"http://127.0.0.1:{site.ports[0]}{path}"
    for data, status in ((None, 405), (b"event=1&tickets=5", 403)):
        with pytest.raises(HTTPError) as caught:
            build_opener().open(address, data)
        caught.value.close()
        assert caught.value.code == status


@pytest.mark.parametrize("event", ["", "one", "-1", "9" * 20, "²"])
def test_a_number_that_is_none_is_a_bad_request(site: Site, event: str) -> None:
    assert post(site, "/buy/", event=event)[0] == 400


def test_an_event_that_is_not_there(site: Site) -> None:
    assert post(site, "/buy/", event=99, guarded="no")[0] == 404


def test_the_page_refreshes_itself_only_on_request(site: Site) -> None:
    assert "Refresh every second" in page(site)
    assert "Stop refreshing" in page(site, "/?live")


def test_without_redis_the_site_stays_up_and_says_so(
    site: Site, redis: EmbeddedServer, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(redis.restart)
    redis.kill()

    assert "Redis cannot be reached." in page(site)
    assert post(site, "/buy/", event=1)[0] == 503
    status, _, answer = post(site, "/process/")
    assert (status, answer["result"]) == (503, "unavailable")
    assert post(site, "/buy/", event=1, guarded="no")[0] == 200

    redis.restart()

    assert post(site, "/buy/", event=1)[0] == 200
    assert "Redis cannot be reached." not in page(site)
