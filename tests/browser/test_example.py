"""Page of the example in a browser, on a site of real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from django_redislock.testing.servers import EmbeddedServer
from example_project.demo.sales import look
from example_project.demo.site import Site, running_site
from tests.browser.axe import violations
from tests.browser.site import PICTURES
from tests.browser.waits import until
from tests.example.processes import environment

SIZES = ((1280, 800), (1920, 1080), (390, 844))
# The others are long.
LOOKED_AT_SOON = (((390, 844), "dark"),)
# The dots that are not wholly visible.
CUT_OFF = """
return [...document.querySelectorAll(".stage .dot")].filter((dot) => {
    const [box, stage] = [dot, dot.closest(".stage")].map((one) => one.getBoundingClientRect());
    return box.top < stage.top || box.bottom > stage.bottom;
}).length;
"""
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch, EmbeddedServer() as redis:
        for name in ("DATABASE_URL", "REDIS_URL"):
            patch.delenv(name, raising=False)
        for name, value in environment(tmp_path_factory.mktemp("site")).items():
            patch.setenv(name, value)
        with running_site(4, 0, redis.url) as site:
            yield site


class Page:
    """The page, as a person sees and uses it."""

    def __init__(self, browser: Chrome, site: Site) -> None:
        self.browser = browser
        self.address = f"http://127.0.0.1:{site.port}/"

    def visit(self) -> None:
        self.browser.get(self.address)
        self.browser.execute_script("window.notReloaded = true")

    def until(self, condition: Callable[[], Any]) -> Any:
        return until(self.browser, condition)

    def one(self, css: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def press(self, css: str) -> None:
        """Press a button by the keyboard."""
        self.one(css).send_keys(Keys.ENTER)

    def ask(self, css: str) -> str:
        """Press a button and wait for the answer, since another press would have its own effect."""
        self.browser.execute_script("document.querySelector('#messages').replaceChildren()")
        self.press(css)
        return str(self.until(lambda: self.text("#messages")))

    def text(self, css: str) -> str:
        """The visible text, which is empty if it is hidden."""
        script = """
            const element = document.querySelector(arguments[0]);
            return element?.checkVisibility() ? element.innerText : "";
        """
        return str(self.browser.execute_script(script, css))

    def figure(self, guarded: bool, css: str) -> int:
        """A figure of one of the two sales."""
        return int(self.text(f".panes > :nth-child({guarded + 1}) {css}"))

    def dots(self, guarded: bool, css: str) -> int:
        """The number of buyers of one of the two sales in a place."""
        css = f".panes > :nth-child({guarded + 1}) {css}"
        script = "return document.querySelectorAll(arguments[0]).length"
        return int(self.browser.execute_script(script, css))

    def send(self) -> None:
        """Send the buyers, and wait until the lock has its first one."""
        self.ask("button.main")
        self.until(lambda: "Buyer" in self.text("#who"))

    def strike(self, kind: str) -> None:
        """Send the buyers, and let this happen to a process that is selling.

        On a busy machine all buyers may have their answers before the right moment was met.
        """
        self.send()

        def struck() -> bool:
            if self.is_over():
                self.send()
            return "Done" in self.ask(f"button[value={kind}]")

        self.until(struck)

    def is_over(self) -> bool:
        """Whether all buyers have their answers."""
        return self.dots(True, ".done .dot") == 100

    def scheme(self, theme: str = "light", motion: str = "reduce") -> None:
        """Set the preferences. By default no dots move, since 200 would keep a processor busy."""
        values = {"prefers-color-scheme": theme, "prefers-reduced-motion": motion}
        features = [{"name": name, "value": value} for name, value in values.items()]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def bottom(self, css: str) -> float:
        script = "return document.querySelector(arguments[0]).getBoundingClientRect().bottom"
        return float(self.browser.execute_script(script, css))

    def picture(self, name: str) -> None:
        if PICTURES:
            self.browser.save_screenshot(os.fspath(Path(PICTURES) / f"{name}.png"))


@pytest.fixture
def page(browser: Chrome, site: Site) -> Iterator[Page]:
    """The page, newly loaded, when all earlier buyers have their answers."""
    browser.get_log("browser")
    page = Page(browser, site)
    page.size(1280, 800)
    page.scheme()
    page.visit()
    yield page
    complaints = [
        one["message"]
        for one in browser.get_log("browser")
        if "status of 409" not in one["message"]  # a button that comes too early
    ]
    still_the_same_page = browser.execute_script("return window.notReloaded === true")
    page.press("button[value=thaw]")
    page.until(lambda: not page.dots(True, ".zone:not(.done) .dot"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get("about:blank")
    assert complaints == []
    assert still_the_same_page


def test_both_sales_are_seen_to_the_end_without_a_reload(page: Page) -> None:
    page.send()

    page.until(lambda: 0 < page.figure(True, "[data-fact=stock]") < 50)
    assert "of 3 s" in page.text(".lease")
    page.until(page.is_over)
    assert page.figure(True, "[data-fact=sold]") == page.dots(True, ".done .sold") == 50
    assert page.figure(True, "[data-fact=stock]") == page.figure(True, "[data-fact=oversold]") == 0
    assert page.dots(True, ".done .sold_out") == 50
    oversold = page.figure(False, "[data-fact=oversold]")
    assert page.dots(False, ".done .oversold") == oversold > 0
    assert f"{oversold} got one too many" in page.text(".pane.bad .legend")
    assert page.dots(True, ".done .dot") == page.dots(False, ".done .dot") == 100


def test_the_dots_move_unless_reduced_motion_is_preferred(page: Page) -> None:
    count = """
        const animations = document.getAnimations();
        return animations.filter((one) => one.effect.target.matches(".dot")).length;
    """
    page.scheme(motion="no-preference")
    page.visit()
    page.send()
    page.until(lambda: page.browser.execute_script(count))
    page.until(page.is_over)
    page.scheme()
    page.visit()
    page.send()
    while not page.is_over():
        assert page.browser.execute_script(count) == 0


def test_a_killed_holder_is_replaced(page: Page) -> None:
    page.strike("kill")

    page.until(lambda: "killed" in page.text("#who"))
    assert page.one(".pane .lock").value_of_css_property("border-style") == "dashed"
    page.until(lambda: "the lock went to" in page.text("#news"))
    page.until(page.is_over)
    assert page.dots(True, ".done .error") >= 1
    assert page.figure(True, "[data-fact=oversold]") == 0


def test_a_frozen_holder_writes_too_late(page: Page) -> None:
    page.strike("freeze")

    # The news stay, even if the page did not ask during the lease of the frozen process.
    page.until(lambda: "was frozen" in page.text("#news"))
    page.until(lambda: "the lock went to" in page.text("#news li:first-child"))
    page.press("button[value=thaw]")
    page.until(lambda: "wrote too late" in page.text("#news .refusal"))
    page.until(page.is_over)
    assert page.dots(True, ".done .lost") == 1
    assert page.figure(True, "[data-fact=sold]") == 50


def test_a_holder_without_its_lock_writes_too_late(page: Page) -> None:
    page.strike("release")

    page.until(lambda: "wrote too late" in page.text("#news .refusal"))
    page.until(page.is_over)
    assert page.figure(True, "[data-fact=sold]") + page.figure(True, "[data-fact=stock]") == 50


def test_the_tab_key_reaches_everything_in_the_order_of_the_page(page: Page) -> None:
    reached = []
    for _number in range(16):
        page.one("body").send_keys(Keys.TAB)
        reached.append(page.browser.execute_script("return document.activeElement.innerText"))
    wanted = ["Live locks", "Send 100 buyers", "Kill it", "Freeze it", "Thaw it", "Take its lock"]
    places = [next(n for n, text in enumerate(reached) if text.startswith(one)) for one in wanted]
    assert places == sorted(places)


def test_the_dots_are_seen_in_forced_colours(page: Page) -> None:
    """A browser that forces its colours makes all backgrounds alike."""
    features = [{"name": "forced-colors", "value": "active"}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    sheet = page.one(".pane").value_of_css_property("background-color")
    assert page.one(".legend .dot.sold").value_of_css_property("background-color") != sheet
    assert page.one("progress.stock").value_of_css_property("background-color") != sheet


def test_a_site_that_does_not_answer_is_reported(page: Page, site: Site) -> None:
    pid = look(site.port)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        page.until(lambda: "does not answer" in page.text("#silent"))
    finally:
        os.kill(pid, signal.SIGCONT)
    page.until(lambda: not page.text("#silent"))


@pytest.mark.parametrize(
    ("size", "theme"),
    [
        pytest.param(
            size,
            theme,
            id=f"{theme}-{size[0]}",
            marks=[] if (size, theme) in LOOKED_AT_SOON else [pytest.mark.long],
        )
        for size in SIZES
        for theme in ("light", "dark")
    ],
)
def test_the_page_fits_in_every_theme_and_size(
    page: Page, size: tuple[int, int], theme: str
) -> None:
    width, height = size
    page.size(width, height)
    page.scheme(theme)
    page.send()
    page.until(lambda: page.figure(True, "[data-fact=sold]") > 20)
    page.picture(f"example-{theme}-{width}")
    over = "const root = document.documentElement; return root.scrollWidth - innerWidth"
    assert page.browser.execute_script(over) <= 0
    # On a phone the panes are one above the other; elsewhere the buttons fit as well.
    lowest = ".pane:nth-child(2)" if width < 500 else ".below"
    assert page.bottom(lowest) <= height
    page.until(page.is_over)
    page.until(lambda: page.browser.execute_script(CUT_OFF) == 0)
    assert violations(page.browser) == []
    colour = page.one("body").value_of_css_property("background-color")
    assert (sum(map(int, colour[5:-1].split(",")[:3])) < 384) == (theme == "dark")
