"""Looks of the pages: themes, narrow screens, right to left, and accessibility."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from redis import Redis
from selenium.webdriver.common.by import By

from django_redislock import lock_backends
from django_redislock.backends.base import Extension
from django_redislock.backends.redis.keys import figure_keys, minutes_key
from django_redislock.figures.tallies import MINUTE, MINUTES, SLOT, SLOTS, Tally
from django_redislock.testing.servers import EmbeddedServer
from tests.browser.axe import violations
from tests.browser.site import PAGE, BrowserTestCase
from tests.management.holds import add_alias, hold, queue

HOT = f"{PAGE}hot/"


@pytest.mark.long
class LookTests(BrowserTestCase):
    @pytest.fixture(autouse=True)
    def _settings(self, settings: Any) -> None:
        self.project = settings

    def scheme(self, theme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def fill(self) -> None:
        for number, what in enumerate(
            ("shop.views.checkout", "manage.py import_feed", "billing.tasks.invoice")
        ):
            hold(f"order:{number}", "default", lease=300 + 60 * number, what=what, label="alice")
        hold("api", lease=30, limit=3, what="shop.api.quota", host="web-2", pid=815)
        for label in ("alice", "bob"):
            hold("semaphore", limit=3, what="shop.api.quota", label=label, lease=900)
        for _number in range(2):
            queue("order:0", "default")
        token = hold("report:2026-11", "default", lease=240, what="manage.py report")
        self.browser.execute_async_script("setTimeout(arguments[0], 150)")
        lock_backends["default"].extend(Extension("report:2026-11", token, 240))

    def fill_hour(self) -> None:
        """Record figures of other processes for the last hour."""
        for family, often, wait, busy in (
            ("checkout:{request.user.pk}", 900, 0.004, 31),
            ("event:*", 420, 0.7, 160),
            ("shop.order:{id}", 260, 0.0004, 2),
            ("report", 12, 4.0, 40),
            ("feed:{feed_id}", 48, 0.0004, 0),
        ):
            slots = {}
            for age in range(SLOTS):
                tally = slots[age] = Tally(busy=busy * (5 + age * 7 % 11) // 130)
                for number in range(often * (4 + (age * age + often) % 9) // 100):
                    tally.was_acquired(wait * (1 + number % 50) / 10)
                    tally.was_released(wait * (2 + number % 30))
            self.tell(family, slots)
        for age in range(MINUTES):
            tally = Tally(busy=3 + age * 7 % 9)
            for number in range(14 + (age * age + 3) % 17):
                tally.was_acquired(0.3 * number if number % 6 == age % 4 else 0.008)
            self.tell_minute(age, tally)

    def tell(self, family: str, slots: dict[int, Tally]) -> None:
        """Put figures into earlier slots, since the backend only counts in the current one."""
        backend = lock_backends["default"]
        client = Redis.from_url(self.project.REDIS_URL)
        now = int(time.time()) // SLOT
        with client:
            for age, tally in slots.items():
                key = figure_keys(backend.config.key_prefix, SLOTS)[(now - age) % SLOTS]
                client.hset(key, "slot", now - age)
                client.hset(key, f":{family}", json.dumps(tally.figures()))
                client.expire(key, 600)

    def tell_minute(self, age: int, tally: Tally) -> None:
        prefix = lock_backends["default"].config.key_prefix
        number = int(time.time()) // MINUTE - age
        with Redis.from_url(self.project.REDIS_URL) as client:
            figures = json.dumps([number, *tally.figures()])
            client.hset(minutes_key(prefix), str(number % MINUTES), figures)
            client.expire(minutes_key(prefix), 600)

    def check_hot(self, name: str) -> None:
        self.visit(HOT)
        assert "event:*" in self.text("#hot_list")
        assert violations(self.browser) == []
        self.picture(f"hot-names{name}")

    def check_all_pages(self, name: str) -> None:
        assert violations(self.browser) == []
        self.picture(f"list-{name}")
        self.one("input[aria-label='Select order:0']").click()
        self.one(".redislock-actions button").click()
        self.until(lambda: self.browser.find_elements(By.ID, "id_reason"))
        assert violations(self.browser) == []
        self.visit_name("default", "order:0")
        assert violations(self.browser) == []
        self.visit_name("memory", "semaphore")
        assert violations(self.browser) == []
        self.visit(f"{PAGE}released/")
        assert violations(self.browser) == []

    def test_axe_finds_nothing_in_the_light_theme(self) -> None:
        self.scheme("light")
        self.fill()
        self.log_in()
        self.check_all_pages("light")
        self.fill_hour()
        self.check_hot("")

    def test_axe_finds_nothing_in_the_dark_theme(self) -> None:
        self.scheme("dark")
        self.fill()
        self.log_in()
        background = "return getComputedStyle(document.body).backgroundColor"
        assert self.browser.execute_script(background) == "rgb(18, 18, 18)"
        self.check_all_pages("dark")
        self.fill_hour()
        self.check_hot("-dark")

    def test_axe_finds_nothing_where_nothing_is_held(self) -> None:
        self.log_in()
        assert violations(self.browser) == []
        self.visit(HOT)
        assert violations(self.browser) == []

    def test_axe_finds_a_violation(self) -> None:
        self.log_in()
        script = "document.getElementById('searchbar').labels[0].remove()"
        self.browser.execute_script(script)
        assert any(one.startswith("label ") for one in violations(self.browser))

    def test_a_narrow_screen_shows_everything_without_scrolling_sideways(self) -> None:
        self.fill()
        hold("x" * 300, "default", what="y" * 300)
        self.fill_hour()
        self.log_in()
        wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        for width in (320, 800, 500):
            self.browser.set_window_size(width, 900)
            for path in (PAGE, HOT, f"{PAGE}default_3Aorder_3A0/change/"):
                self.visit(path)
                assert self.browser.execute_script(wider) <= 0, (width, path)
                assert violations(self.browser) == []
                if path == HOT:
                    assert self.overlapping_times() == [], width
                    self.picture("hot-names-narrow")
        self.picture("narrow")

    def overlapping_times(self) -> list[str]:
        """The times below a chart that begin before the one to their left ends."""
        return list(
            self.browser.execute_script(
                """
                const ends = (one) => {
                    const range = document.createRange();
                    range.selectNodeContents(one);
                    return range.getBoundingClientRect();
                };
                return [...document.querySelectorAll(".redislock-axis")].flatMap((axis) => {
                    const shown = [...axis.children].filter(
                        (one) => getComputedStyle(one).visibility === "visible");
                    return shown.slice(1)
                        .filter((one, place) => ends(one).left < ends(shown[place]).right)
                        .map((one) => one.innerText);
                });
                """
            )
        )

    def test_a_wide_screen_shows_all_columns(self) -> None:
        self.fill()
        hold("report:" + "x" * 300, "default", what="example.management.commands.report._make")
        self.log_in()
        hidden = "const all = document.querySelector('.results');"
        hidden += "return all.scrollWidth - all.clientWidth"
        assert self.browser.execute_script(hidden) == 0

    def test_the_confirmation_shows_long_names_completely(self) -> None:
        hold("x" * 1000)
        self.log_in()
        self.one("#redislock-all").click()
        self.one(".redislock-actions button").click()
        self.until(lambda: self.browser.find_elements(By.ID, "id_reason"))
        name = "const name = document.querySelector('tbody th bdi');"
        name += "return name.scrollHeight - name.clientHeight"
        assert self.browser.execute_script(name) <= 0

    def test_all_pages_start_at_the_same_edge(self) -> None:
        self.log_in()
        for width in (500, 1000, 1440):
            self.browser.set_window_size(width, 900)
            edges = set()
            for path in (PAGE, HOT, f"{PAGE}default_3Aa/change/"):
                self.visit(path)
                link = self.one(".breadcrumbs a")
                edges.add((link.rect["x"], link.value_of_css_property("font-size")))
            assert len(edges) == 1, edges

    def test_all_buttons_have_the_font_of_the_page(self) -> None:
        self.fill()
        self.log_in()
        for path in (PAGE, HOT, f"{PAGE}default_3Aapi/change/"):
            self.visit(path)
            self.one("#redislock-pause")
            fonts = self.browser.execute_script(
                "return [document.body, ...document.querySelectorAll('#content button')]"
                ".map((one) => getComputedStyle(one).fontFamily)"
            )
            assert len(fonts) > 1
            assert len(set(fonts)) == 1, path

    def test_the_browser_supports_the_style_for_the_remaining_lease(self) -> None:
        self.log_in()
        rules = self.browser.execute_script(
            "return [...document.styleSheets].flatMap(s => [...s.cssRules]).map(r => r.cssText)"
        )
        (bar,) = [rule for rule in rules if ".redislock-bar::-webkit-progress-value" in rule]
        assert "var(--link-fg)" in bar

    def test_the_pages_work_from_right_to_left(self) -> None:
        self.fill()
        self.log_in()
        cookie = {"name": "django_language", "value": "ar", "path": "/"}
        self.browser.add_cookie(cookie)
        self.visit(PAGE)
        assert self.one("html").get_attribute("dir") == "rtl"
        assert violations(self.browser) == []
        name, fence = (
            self.one(f"#result_list tbody {cell}").rect["x"] for cell in ("th", "td:last-child")
        )
        assert name > fence
        self.picture("rtl")
        self.fill_hour()
        self.check_hot("-rtl")

    def test_the_tree_of_waits_shows_a_deadlock(self) -> None:
        who = [
            {"what": what, "label": label, "host": f"web-{number}", "owner": str(number)}
            for number, (what, label) in enumerate(
                (("shop.checkout", "alice"), ("billing.invoice", ""), ("manage.py feed", ""))
            )
        ]
        for number, name in enumerate(("account:1", "account:2", "stock:7")):
            hold(name, **who[number])
        for number, name in ((0, "account:2"), (1, "account:1"), (2, "account:1")):
            queue(name, **who[number])
        queue("stock:7", what="shop.views.basket", label="bob", host="web-9")
        self.log_in()
        for theme, width in (("light", 1280), ("dark", 1280), ("light", 500)):
            self.scheme(theme)
            self.browser.set_window_size(width, 800)
            self.visit(f"{PAGE}waits/")
            assert "Deadlock" in self.text("h2")
            assert self.text(".redislock-waits").count("in a deadlock, or behind one") == 4
            assert violations(self.browser) == []
            wider = "const root = document.documentElement; return root.scrollWidth - innerWidth"
            assert self.browser.execute_script(wider) <= 0
            if (theme, width) == ("light", 1280):
                self.picture("waits")
        self.one(".redislock-waits a").click()
        self.until(lambda: "Waits for" in self.text("#redislock-live"))
        assert violations(self.browser) == []

    def test_a_stopped_server_is_reported_and_the_page_stays(self) -> None:
        with EmbeddedServer() as server:
            self.project.CACHES = {
                **self.project.CACHES,
                "other": {
                    "BACKEND": "django_redis.cache.RedisCache",
                    "LOCATION": server.url,
                    "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 1},
                },
            }
            add_alias(self.project, "other", CACHE="other")
            hold("there", "other", lease=600)
            hold("here", lease=600)
            self.log_in()
            self.mark()
            assert "there" in self.text("#result_list")
            server.stop()
            self.until(lambda: "The locks of the backend “other” cannot be shown." in self.text())
            # Its earlier locks are not shown as live.
            assert "there" in self.text(".redislock-missing")
            assert "not known" in self.text(".redislock-missing .redislock-lease")
            assert not self.browser.find_elements(
                By.CSS_SELECTOR, ".redislock-missing [data-remaining]"
            )
            assert "here" in self.text("#result_list tbody tr:not(.redislock-missing) th a")
            assert not self.was_reloaded
            assert violations(self.browser) == []
            self.picture("stopped")
