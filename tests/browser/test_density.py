"""Density of the list: how much fits on a screen, and that long texts do not break it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from django_redislock import lock_backends
from django_redislock.figures.meter import Batch
from django_redislock.figures.tallies import Tally
from tests.browser.axe import violations
from tests.browser.site import PAGE, BrowserTestCase
from tests.management.holds import aged, hold, queue

# The rows that are wholly visible without scrolling.
SEEN = """
return [...document.querySelectorAll("#result_list tbody tr")]
    .filter((row) => row.getBoundingClientRect().bottom <= innerHeight).length;
"""
# What sticks out of the screen, is not cut on purpose, and in no table that scrolls in itself.
TOO_WIDE = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll("#content *")].filter((element) => {
    const box = element.getBoundingClientRect();
    const isCut = element.closest(".visually-hidden, .redislock-one-line, .redislock-name a");
    const scrolls = element.closest(".redislock-list:not(.redislock-locks)");
    return box.width && !isCut && !scrolls && (box.right > width + 1 || box.left < -1);
}).map((element) => element.outerHTML.slice(0, 200));
"""
# The vertical positions at which the parts of one row begin.
TOPS = """
const row = document.querySelector("#result_list tbody tr:nth-child(4)");
return arguments[0].map((part) => row.querySelector(`.redislock-${part}`))
    .map((cell) => cell.getBoundingClientRect().top);
"""
# The title or buttons at the top of the page that take more than one line.
BROKEN = """
const tops = [...document.querySelectorAll(".object-tools li")]
    .map((item) => item.getBoundingClientRect().top);
const range = document.createRange();
range.selectNodeContents(document.querySelector("#content h1"));
return range.getClientRects().length > 1 || new Set(tops).size > 1;
"""
# The gap between the lowest figure of each chart's scale and the first time, which is under it.
GAPS = """
return [...document.querySelectorAll(".redislock-plot")].map((plot) => {
    const range = document.createRange();
    range.selectNodeContents(plot.querySelector(".redislock-axis span"));
    const lowest = plot.querySelector(".redislock-scale text:last-child");
    return range.getBoundingClientRect().top - lowest.getBoundingClientRect().bottom;
});
"""
LONG = 200


class DensityTests(BrowserTestCase):
    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.addCleanup(self.browser.execute_cdp_cmd, "Emulation.clearDeviceMetricsOverride", {})

    def fill(self) -> None:
        for number in range(30):
            holder = {"what": "shop.views.checkout", "label": "alice", "thread": "worker-1_7"}
            hold(f"order:{number}", "default", lease=300 + number, **holder)
        queue("order:3", "default")

    def test_a_laptop_shows_twelve_locks(self) -> None:
        self.fill()
        self.size(1280, 800)
        self.log_in()
        assert self.browser.execute_script(SEEN) >= 12

    def test_a_laptop_with_the_sidebar_breaks_no_line(self) -> None:
        self.fill()
        self.size(1280, 800)
        self.log_in()
        assert self.browser.execute_script(BROKEN) is False
        heights = {
            self.one(f"#result_list tbody tr:nth-child({number})").rect["height"]
            for number in (3, 4)
        }
        assert len(heights) == 1, "the one with a waiter is as high as the others"
        assert max(heights) <= 40, "two lines"
        holder = "#result_list tbody tr .redislock-holder bdi"
        script = "return getComputedStyle(document.querySelector(arguments[0])).fontSize"
        assert self.browser.execute_script(script, f"{holder} .redislock-leading") == "0px"
        self.size(1920, 800)
        assert self.browser.execute_script(script, f"{holder} .redislock-leading") != "0px"
        assert self.text(holder) == "shop.views.checkout"

    def test_a_name_uses_both_lines_of_its_row(self) -> None:
        hold("report:2026-11", lease=300)
        self.size(1280, 800)
        self.log_in()
        fits = (
            "const name = document.querySelector('#result_list .redislock-name a');"
            "return name.scrollWidth <= name.clientWidth && name.scrollHeight <= name.clientHeight"
        )
        assert self.browser.execute_script(fits)
        assert self.one("#result_list tbody tr").rect["height"] <= 40, "two lines"

    def test_no_state_needs_a_third_line(self) -> None:
        hold("overdue", lease=1794, renews_for=1e-6)
        self.size(1280, 800)
        self.log_in()
        states = {"en": "past MAX_HOLD", "de": "über MAX_HOLD", "es": "MAX_HOLD superado"}
        for language, state in states.items():
            self.browser.add_cookie({"name": "django_language", "value": language, "path": "/"})
            self.visit(PAGE)
            assert self.text("#result_list .redislock-remark") == state
            assert self.one("#result_list tbody tr").rect["height"] <= 40, "two lines"

    def test_no_wait_needs_a_third_line(self) -> None:
        hold("a", lease=1794)
        queue("a")
        self.size(1280, 800)
        self.log_in()
        with pytest.MonkeyPatch.context() as patch:
            aged(patch, "memory", {"a": 91}, longest_wait=91.0)
            for language in ("en", "de", "es", "zh-hans"):
                self.browser.add_cookie({"name": "django_language", "value": language, "path": "/"})
                self.visit(PAGE)
                assert self.text("#result_list .redislock-waiters").startswith("1")
                assert self.one("#result_list tbody tr").rect["height"] <= 40, language

    def test_the_first_time_of_a_chart_does_not_touch_the_scale(self) -> None:
        waits = Tally(acquired=7, waits=[7] + [0] * 23)
        lock_backends["memory"].add_tallies(Batch("1", {"order:*": waits}))
        self.size(1280, 800)
        self.log_in(path=f"{PAGE}hot/")
        gaps = self.browser.execute_script(GAPS)
        assert len(gaps) == 2
        assert min(gaps) >= 0, gaps

    def test_a_long_lease_keeps_to_its_column(self) -> None:
        hold("report", lease=1794, what="shop.views.checkout")
        self.size(1280, 800)
        self.log_in()
        lease = self.one("#result_list .redislock-lease > span")
        holder = self.one("#result_list .redislock-holder")
        assert lease.rect["x"] + lease.rect["width"] <= holder.rect["x"]
        assert lease.value_of_css_property("overflow") == "hidden"

    def test_no_two_check_boxes_are_too_close_to_each_other(self) -> None:
        self.fill()
        self.log_in()
        middles = self.browser.execute_script(
            "return [...document.querySelectorAll('#result_list input[type=checkbox]')]"
            ".map((box) => box.getBoundingClientRect()).map((box) => box.top + box.height / 2)"
        )
        gaps = [below - above for above, below in pairwise(middles)]
        assert min(gaps) >= 24

    def test_a_narrow_card_shows_the_whole_name(self) -> None:
        hold("report:2026-11")
        self.log_in()
        cut = "const name = document.querySelector('.redislock-name a');"
        cut += "return name.scrollHeight - name.clientHeight"
        for width in (320, 800):  # the latter with the sidebar and the filters beside the list
            self.size(width, 800)
            assert self.browser.execute_script(cut) <= 0
            name, since = self.browser.execute_script(TOPS.replace("4", "1"), ["name", "since"])
            assert name < since
        self.size(320, 800)
        self.one("#result_list tbody input").click()
        self.one(".redislock-actions button").click()
        self.one("#id_reason")
        assert self.one("tbody th bdi").rect["height"] < 30, "one line"

    def test_forced_colours_show_what_needs_attention_and_what_is_a_button(self) -> None:
        hold("order:1")
        queue("order:1")
        feature = {"name": "forced-colors", "value": "active"}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        self.log_in()
        for part in (".redislock-attention > :first-child", "#redislock-pause"):
            assert self.one(part).value_of_css_property("border-left-style") == "solid"

    def test_a_phone_shows_a_card_for_each_lock(self) -> None:
        self.fill()
        self.size(390, 844)
        self.log_in()
        assert self.browser.execute_script(SEEN) >= 3
        parts = ["name", "since", "holder", "lease", "waiters"]
        name, since, holder, lease, waiters = self.browser.execute_script(TOPS, parts)
        assert name == since < holder < lease < waiters
        assert self.text("#result_list tbody tr:nth-child(4)").count("Waiters") == 0
        assert self.one("#result_list thead a").is_displayed(), "it can still be sorted"
        assert violations(self.browser) == []
        self.picture("phone")

    def test_long_texts_break_no_page(self) -> None:
        name = "n" * LONG
        hold(name, what="w" * LONG, label="l" * LONG, thread="t" * LONG, host="h" * LONG)
        queue(name, what="w" * LONG, label="l" * LONG, thread="t" * LONG, host="h" * LONG)
        hold("a name of words " * 12, label="a label of words " * 12)
        self.log_in()
        for width in (390, 1280, 1920):
            self.size(width, 844)
            self.visit(PAGE)
            assert self.browser.execute_script(TOO_WIDE) == []
            row = self.one("#result_list tbody tr").rect["height"]
            assert row < (170 if width == 390 else 60)
            self.one("#result_list tbody input").click()
            self.one(".redislock-actions button").click()
            self.one("#id_reason")
            assert self.browser.execute_script(TOO_WIDE) == []
            self.visit_name("memory", name)
            assert self.browser.execute_script(TOO_WIDE) == []
