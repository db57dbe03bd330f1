"""Page of a busy view, in a browser and with a strict Content-Security-Policy."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from django_redislock import lock, lock_backends, locked_view
from django_redislock.figures.meter import Batch
from django_redislock.figures.tallies import Tally
from tests.browser.axe import violations
from tests.browser.site import BrowserTestCase
from tests.management.holds import hold, queue

FORM = """<!doctype html><html lang="en"><title>Book</title>
<form action="/book/" method="post"><input name="seat"><button>Book</button></form>
<a href="/report/">Report</a>"""


def form(request: HttpRequest) -> HttpResponse:
    return HttpResponse(FORM)


@locked_view("report", using="memory")
def report(request: HttpRequest) -> HttpResponse:
    return HttpResponse("The report")


@locked_view("book", using="memory")
def book(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Booked {request.POST['seat']}")


urlpatterns = [path("", form), path("report/", report), path("book/", book)]


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=["tests.browser.site.content_security_policy"])
class BusyPageTests(BrowserTestCase):
    def is_complaint(self, message: str) -> bool:
        # The browser logs the intended status 423 as an error.
        return "status of 423" not in message and super().is_complaint(message)

    def scheme(self, theme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def size(self, width: int, height: int) -> None:
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        self.addCleanup(self.browser.execute_cdp_cmd, "Emulation.clearDeviceMetricsOverride", {})

    def test_the_page_is_accessible_and_fits_in_every_theme_and_size(self) -> None:
        self.visit("/")
        with lock("report", using="memory", lease=50), lock("book", using="memory", lease=50):
            for width, height in ((1280, 800), (390, 844)):
                self.size(width, height)
                for theme in ("light", "dark"):
                    self.scheme(theme)
                    self.visit("/")
                    self.one("a").click()
                    self.check(f"busy-{theme}-{width}")
                    colour = self.one("body").value_of_css_property("background-color")
                    assert (sum(map(int, colour[5:-1].split(",")[:3])) < 384) == (theme == "dark")
            self.visit("/")
            self.one("button").click()
            self.check("busy-post")

    def check(self, name: str) -> None:
        self.until(lambda: "seconds" in self.text("[role=timer]"))
        assert violations(self.browser) == []
        over = "const root = document.documentElement; return root.scrollWidth - root.clientWidth"
        assert self.browser.execute_script(over) == 0
        self.picture(name)

    def test_the_page_shows_the_queue_and_a_long_time_in_minutes(self) -> None:
        long = Tally()
        long.was_released(1200.0)
        backend = lock_backends["memory"]
        backend.add_tallies(Batch("1", {"report": long}))
        backend.medians.put(backend.tallies())
        self.visit("/")
        with lock("report", using="memory", lease=600):
            queue("report")
            self.one("a").click()
            self.until(lambda: "minutes" in self.text("[role=timer]"))
            expected = "1 other was waiting already; it usually takes about 40 min."
            assert self.text("#queue") == expected
            for width, height in ((1280, 800), (390, 844)):
                self.size(width, height)
                assert violations(self.browser) == []
                self.picture(f"busy-queue-{width}")

    def test_a_read_request_is_repeated_when_the_time_is_over(self) -> None:
        self.visit("/")
        hold("report", lease=4)
        self.one("a").click()
        self.until(lambda: "second" in self.text("[role=timer]"))
        assert self.one("progress").is_displayed()
        self.until(lambda: self.text("body") == "The report")
        self.browser.back()
        self.until(lambda: "Book" in self.browser.title)

    @override_settings(LANGUAGE_CODE="ca@valencia")
    def test_the_page_counts_down_in_a_language_unknown_to_the_browser(self) -> None:
        self.visit("/")
        hold("report", lease=4)
        self.one("a").click()
        self.until(lambda: self.text("body") == "The report")

    def test_the_data_of_a_form_is_kept(self) -> None:
        self.visit("/")
        self.one("input").send_keys("17B")
        with lock("book", using="memory", lease=600):
            self.one("button").click()
            assert self.one("#back").text == "Go back and try again"
            self.one("#back").click()
            self.until(lambda: self.one("input").get_attribute("value") == "17B")
        self.one("button").click()
        self.until(lambda: self.text("body") == "Booked 17B")

    def test_links_lead_back_or_try_again_at_once(self) -> None:
        self.visit("/")
        with lock("report", using="memory", lease=600):
            self.one("a").click()
            self.one("#back").click()
            self.until(lambda: "Book" in self.browser.title)
            self.one("a").click()
            again: Any = self.one("#try-again")
        again.click()
        self.until(lambda: self.text("body") == "The report")
