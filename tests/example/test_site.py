"""Pages of the example, served by three real processes."""

from __future__ import annotations

import re
import subprocess
import sys
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

import pytest
from django.template.loader import render_to_string

from django_redislock.testing.servers import EmbeddedServer
from example_project.demo.sales import look
from example_project.demo.site import Site

from .processes import ROOT, environment, eventually
from .sites import Posts, pane, post, send, until

pytestmark = pytest.mark.timeout(240)


def html(site: Site, language: str = "en") -> str:
    request = Request(f"http://127.0.0.1:{site.port}/", headers={"Accept-Language": language})
    with build_opener().open(request, timeout=20) as response:
        assert response.status == 200
        page: str = response.read().decode()
    return page


def page(site: Site) -> str:
    """The page, as the text that a browser without scripts shows."""
    text = re.sub(r"<(\w+)[^>]* hidden>.*?</\1>", " ", html(site), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def test_only_one_report_runs_at_a_time(site: Site) -> None:
    posts = Posts()
    posts.start(site, "/process/", 0)
    eventually(lambda: look(site.port)["held"] == 1, lambda: str(look(site.port)))
    status, headers, answer = post(site, "/process/", office=1)

    assert status == 423
    assert int(headers["Retry-After"]) >= 1
    assert answer["result"] == "busy"
    assert "process" in answer["text"]
    assert posts.join() == [200]


def four_buyers_at_once(site: Site, guarded: bool) -> tuple[int, int]:
    """Return how many tickets were sold, and how many of the five are left by the books."""
    assert send(site, tickets=5, buyers=4) == 200
    until(site, lambda shown: not shown["running"])
    shown = pane(site, guarded)
    assert shown["rush"]["told"] == {"sold": 4}
    return shown["sold"], shown["stock"]


def test_four_guarded_buyers_at_once_lose_no_sale(site: Site) -> None:
    assert four_buyers_at_once(site, guarded=True) == (4, 1)


def test_four_unguarded_buyers_at_once_lose_sales(site: Site) -> None:
    """All four see all five tickets, if the machine runs them at the same time."""
    assert any(four_buyers_at_once(site, guarded=False) == (4, 4) for _ in range(10))


def test_the_buyer_in_the_lock_is_named_and_the_others_wait(site: Site) -> None:
    assert send(site, tickets=5, buyers=4) == 200
    shown = until(site, lambda shown: shown["lock"] and shown["waiting"])

    (inside,) = shown["inside"]
    assert shown["lock"]["holder"] == f"Buyer {inside}"
    assert len(shown["waiting"]) + len(shown["done"]) == 3
    shown = until(site, lambda shown: not shown["running"])
    assert sorted(number for number, _result in shown["done"]) == [1, 2, 3, 4]
    assert (shown["inside"], shown["waiting"]) == ([], [])


def test_without_scripts_too_the_buyer_in_the_lock_has_the_colour_of_the_legend() -> None:
    shown = render_to_string("tickets/includes/pane.html", {"pane": {"inside": [3]}})

    assert '<i class="dot charging" data-buyer="3">' in shown


def test_oversold_tickets_are_shown(site: Site) -> None:
    assert send(site, tickets=1, buyers=4) == 200
    until(site, lambda shown: not shown["running"])

    unguarded, guarded = pane(site, guarded=False), pane(site)
    assert unguarded["counts"].get("oversold", 0) == unguarded["oversold"]
    # The answer to the successful buyer may come after the others.
    assert sorted(result for _number, result in guarded["done"]) == ["sold"] + ["sold_out"] * 3
    assert f"Sold {unguarded['sold']}" in page(site)


def test_no_buyers_are_sent_while_others_have_no_answer(site: Site) -> None:
    assert send(site, tickets=5, buyers=4) == 200
    assert send(site, tickets=5, buyers=4) == 409
    until(site, lambda shown: not shown["running"])


def test_a_buyer_without_a_ticket_gets_sold_out(site: Site) -> None:
    assert send(site, tickets=0, buyers=0) == 200

    status, _, answer = post(site, "/buy/", event=pane(site)["event"])

    assert (status, answer["result"]) == (409, "sold_out")


def test_a_browser_without_scripts_can_buy(site: Site) -> None:
    cookies = CookieJar()
    browser = build_opener(HTTPCookieProcessor(cookies), HTTPRedirectHandler())
    address = f"http://127.0.0.1:{site.port}"
    with browser.open(f"{address}/") as response:
        form = response.read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert token
    event = pane(site)["event"]
    fields = f"csrfmiddlewaretoken={token[1]}&event={event}&buyer=Ada+%3C3"

    with browser.open(f"{address}/buy/", fields.encode()) as response:
        text = response.read().decode()

    assert response.url == f"{address}/"
    assert re.search(r"Sold: ticket \d+ for Ada &lt;3\.", text)


def test_the_page_is_in_one_language_whatever_the_browser_asks_for(site: Site) -> None:
    page = html(site, language="de")

    assert '<html lang="en">' in page
    assert re.findall(r">(Live locks|Hot names|Who waits)\b", page) == [
        "Live locks",
        "Hot names",
        "Who waits",
    ]


def test_scripts_and_styles_are_files_of_the_site(site: Site) -> None:
    page = html(site)

    assert "office.js" in page
    assert re.findall(r"<script(?![^>]* src=)|<style|\s(?:style|on\w+)=|//[\w-]+\.\w+", page) == []


@pytest.mark.parametrize("path", ["/buy/", "/process/", "/rush/", "/mishap/"])
def test_changes_require_a_post_with_a_csrf_token(site: Site, path: str) -> None:
    address = f"http://127.0.0.1:{site.port}{path}"
    for data, status in ((None, 405), (b"event=1&tickets=5", 403)):
        with pytest.raises(HTTPError) as caught:
            build_opener().open(address, data)
        caught.value.close()
        assert caught.value.code == status


@pytest.mark.parametrize("event", ["", "one", "-1", "9" * 20, "²"])
def test_an_invalid_number_is_a_bad_request(site: Site, event: str) -> None:
    assert post(site, "/buy/", event=event)[0] == 400
    assert post(site, "/mishap/", event=event, kind="kill")[0] == 400


def test_an_unknown_mishap_is_a_bad_request(site: Site) -> None:
    assert post(site, "/mishap/", event=pane(site)["event"], kind="flood")[0] == 400


def test_an_unknown_event_is_not_found(site: Site) -> None:
    assert post(site, "/buy/", event=99)[0] == 404


def test_without_redis_the_site_stays_up_and_says_so(
    site: Site, redis: EmbeddedServer, request: pytest.FixtureRequest
) -> None:
    unguarded, guarded = (one["event"] for one in look(site.port)["panes"])
    assert "Redis cannot be reached." not in page(site)
    request.addfinalizer(redis.restart)
    redis.kill()

    assert "Redis cannot be reached." in page(site)
    assert post(site, "/buy/", event=guarded)[0] == 503
    assert send(site, tickets=5, buyers=4) == 503
    assert post(site, "/mishap/", event=guarded, kind="kill")[0] == 503
    status, _, answer = post(site, "/process/")
    assert (status, answer["result"]) == (503, "unavailable")
    assert post(site, "/buy/", event=unguarded)[0] == 200

    redis.restart()

    assert post(site, "/buy/", event=guarded)[0] == 200
    assert "Redis cannot be reached." not in page(site)


def test_its_settings_pass_the_checks_at_deploy(redis: EmbeddedServer, tmp_path: Path) -> None:
    check = ["check", "--tag", "locks", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(
        [sys.executable, "manage.py", *check],
        cwd=ROOT,
        env=environment(tmp_path, {"REDIS_URL": redis.url}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
