"""Live pages of the admin: updates without a reload, and actions."""

from __future__ import annotations

import re
from queue import Queue
from threading import Event
from unittest.mock import patch

from django.contrib.admin.models import LogEntry
from django.http import HttpResponse
from django.utils.translation import override
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from django_redislock import lock, lock_backends
from django_redislock.admin.release import ReleaseView
from django_redislock.backends.base import Extension
from django_redislock.figures.meter import Batch
from django_redislock.figures.tallies import Tally
from django_redislock.operations.formatting import duration
from tests.browser.site import PAGE, BrowserTestCase
from tests.management.holds import hold, is_held, queue


class LivePageTests(BrowserTestCase):
    def rows(self) -> list[str]:
        return self.text("#result_list tbody").splitlines()

    def left(self) -> float:
        found = re.search(r"([\d.]+) s", self.text(".redislock-left"))
        return float(found[1]) if found else -1.0

    def test_a_hold_appears_counts_down_and_vanishes_without_a_reload(self) -> None:
        self.log_in()
        assert "No lock is held at the moment." in self.text()
        self.mark()
        token = hold("order:42", "default", lease=50, what="shop.checkout")
        self.until(lambda: "order:42" in self.text("#result_list"))
        first = self.left()
        self.until(lambda: 0 < self.left() < first - 1)
        lock_backends["default"].extend(Extension("order:42", token, 2))
        self.until(lambda: "No lock is held at the moment." in self.text())
        assert not self.was_reloaded

    def test_a_lease_at_zero_is_shown_as_ended_only_by_the_server(self) -> None:
        self.log_in()
        token = hold("a", lease=1.5)
        seen = set()

        def look() -> bool:
            lock_backends["memory"].extend(Extension("a", token, 1.5))
            seen.add(self.text(".redislock-left"))
            return "0.0 s" in seen

        self.until(look)
        assert [one for one in seen if one and not one.endswith(" s")] == []

    def test_a_duration_is_cut_as_the_server_cuts_it(self) -> None:
        hold("a")
        self.log_in()
        show = (
            "const left = document.querySelector('.redislock-left'); if (!left) return '';"
            "performance.now = () => 0; left.dataset.remaining = 59.97; return left.innerText"
        )
        self.browser.execute_script("performance.now = () => 0")
        self.until(lambda: self.browser.execute_script(show) == "59.9 s")

    def test_a_duration_has_the_digits_that_the_server_writes(self) -> None:
        hold("a", lease=3600)
        self.log_in()
        show = (
            "const left = document.querySelector('.redislock-left');"
            "performance.now = () => 0; left.dataset.remaining = 12.3; return left.innerText"
        )
        for language in ("ar", "de", "fa"):
            self.browser.add_cookie({"name": "django_language", "value": language, "path": "/"})
            self.visit(PAGE)
            with override(language):
                text = duration(12.3)
            self.until(lambda text=text: self.browser.execute_script(show) == text)

    def test_a_renewal_and_new_waiters_are_shown(self) -> None:
        token = hold("a", lease=30)
        self.log_in()
        self.mark()
        assert self.left() < 30
        lock_backends["memory"].extend(Extension("a", token, 59))
        queue("a")
        self.until(lambda: self.left() > 30)
        self.until(lambda: self.text("#result_list tbody td:nth-of-type(5)").startswith("1"))
        self.until(lambda: re.search(r"longest [1-9]\d*\.\d s", self.text("#result_list")))
        assert not self.was_reloaded

    def test_the_page_can_be_paused_and_resumed_by_keyboard(self) -> None:
        self.log_in()
        button = self.one("#redislock-pause")
        button.send_keys(Keys.ENTER)
        self.until(lambda: self.text("#redislock-status") == "Paused")
        paused_at = self.now()
        hold("a")
        self.browser.execute_async_script("setTimeout(arguments[0], 2600)")
        assert self.requests_since(paused_at) == 0
        assert "No lock is held" in self.text()
        button.send_keys(Keys.SPACE)
        self.until(lambda: "a" in self.text("#result_list"))
        assert self.text("#redislock-pause") == "Pause"

    def now(self) -> float:
        """The time by the clock of the page."""
        return float(self.browser.execute_script("return performance.now()"))

    def requests_since(self, moment: float) -> int:
        """The number of requests begun since; earlier ones may still be answered."""
        return len(self.begun_since(moment))

    def begun_since(self, moment: float) -> list[float]:
        script = "return performance.getEntriesByType('resource').map((entry) => entry.startTime)"
        return [begun for begun in self.browser.execute_script(script) if begun > moment]

    def test_a_hidden_tab_sends_no_requests_and_catches_up(self) -> None:
        self.log_in()
        page = self.browser.current_window_handle
        hide = (
            "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true})"
        )
        tell = "document.dispatchEvent(new Event('visibilitychange'))"
        self.browser.execute_script(f"{hide}; {tell}", True)
        hidden_at = self.now()
        hold("a")
        self.browser.execute_async_script("setTimeout(arguments[0], 2600)")
        assert self.requests_since(hidden_at) == 0
        for _ in range(10):
            shown_at = self.now()
            self.browser.execute_script(f"{hide}; {tell}", False)
            self.until(lambda: "a" in self.text("#result_list"))
            begun = self.until(lambda since=shown_at: self.begun_since(since))
            if min(begun) < shown_at + 500:
                break  # at once, not only at its next turn
            self.browser.execute_script(f"{hide}; {tell}", True)
        else:
            self.fail("it did not catch up at once")
        assert self.browser.current_window_handle == page

    def test_a_release_by_force_is_done_and_recorded(self) -> None:
        token = hold("order:42", "default", lease=600, what="shop.checkout", label="alice")
        other = hold("order:43", "default", lease=700)
        self.log_in()
        self.one("input[aria-label='Select order:42']").send_keys(Keys.SPACE)
        self.one(".redislock-actions button").send_keys(Keys.ENTER)
        self.until(lambda: "This lock will be released by force" in self.text())
        assert "order:43" not in self.text()
        assert is_held("order:42", token, "default")
        self.picture("confirm")
        self.one("#id_reason").send_keys("hung since noon", Keys.ENTER)
        self.until(lambda: "1 lock was released by force." in self.text(".messagelist"))
        assert not is_held("order:42", token, "default")
        assert is_held("order:43", other, "default")
        entry = LogEntry.objects.get()
        assert entry.user == self.admin
        assert "hung since noon" in entry.change_message
        self.visit(entry.get_admin_url())
        assert "hung since noon" in self.text()
        self.picture("history")

    def test_a_button_that_is_clicked_again_does_not_replace_the_answer(self) -> None:
        hold("a")
        self.log_in()
        self.one("#redislock-all").click()
        self.one(".redislock-actions button").click()
        self.one("#id_reason")
        requests: Queue[str] = Queue()
        second = Event()
        respond = ReleaseView.respond

        def respond_slowly(view: ReleaseView) -> HttpResponse:
            requests.put("release")
            response = respond(view)
            if requests.qsize() > 1:
                second.set()
            second.wait(1)
            return response

        with patch.object(ReleaseView, "respond", respond_slowly):
            button = "const button = document.querySelector('#redislock-release [type=submit]');"
            click = f"{button} button.click(); setInterval(() => button.click(), 100)"
            self.browser.execute_script(click)
            self.until(lambda: self.text(".messagelist"))
        assert "1 lock was released by force." in self.text(".messagelist")
        assert requests.qsize() == 1

    def test_all_rows_of_the_page_can_be_selected_at_once(self) -> None:
        for name in "abc":
            hold(name)
        self.log_in()
        every = self.one("#redislock-all")
        every.click()
        box = self.one("input[aria-label='Select b']")
        box.click()
        assert not every.is_selected()
        box.click()
        assert every.is_selected()
        hold("later")
        self.until(lambda: self.text("#redislock-reload") == "1 more since")
        assert every.is_selected()
        self.one(".redislock-actions button").click()
        self.until(lambda: "These 3 locks will be released by force" in self.text())

    def test_a_user_who_may_only_view_cannot_release(self) -> None:
        hold("order:42", what="shop.checkout", label="alice")
        self.log_in(self.viewer())
        assert "order:42" in self.text("#result_list")
        self.picture("viewer")
        assert self.browser.execute_script(
            "return document.querySelectorAll('#content input[type=checkbox], "
            "#content button:not(#redislock-pause)').length"
        ) == 0  # fmt: skip

    def test_the_page_of_a_name_is_live(self) -> None:
        name = "order:42"
        with lock(name, using="memory", lease=30, what="shop.views.checkout", label="alice"):
            self.log_in()
            self.visit_name("memory", "order_3A42")
            self.mark()
            assert "alice" in self.text()
            queue(name)
            self.until(lambda: "Queue (1)" in self.text())
            self.picture("detail")
        self.until(lambda: "alice" not in self.text())
        assert not self.was_reloaded

    def test_a_name_can_be_copied_unchanged(self) -> None:
        name = 'order: "4\u20442" \u202e'
        hold(name)
        origin = {
            "origin": self.live_server_url,
            "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"],
        }
        self.log_in()
        self.browser.execute_cdp_cmd("Browser.grantPermissions", origin)
        self.one("#result_list tbody th a").click()
        self.until(lambda: self.text("#redislock-copy") == "Copy the name")
        self.one("#redislock-copy").click()
        self.until(lambda: self.text("#redislock-copy") == "Copied")
        read = "navigator.clipboard.readText().then(arguments[0])"
        assert self.browser.execute_async_script(read) == name

    def test_hot_names_appear_without_a_reload(self) -> None:
        self.log_in()
        self.one(".object-tools a[href$='hot/']").click()
        self.until(lambda: "No lock was requested in the last hour." in self.text())
        self.mark()
        batch = Batch("1", {"order:*": Tally(acquired=7, waits=[7] + [0] * 23)})
        lock_backends["memory"].add_tallies(batch)
        self.until(lambda: "order:*" in self.text("#hot_list"))
        assert not self.was_reloaded

    def test_an_ended_session_is_reported(self) -> None:
        self.log_in()
        self.browser.delete_all_cookies()
        self.until(lambda: "Reload it." in self.text("#redislock-status"))

    def test_a_response_429_does_not_end_the_refreshes(self) -> None:
        self.log_in()
        answer = "async () => new Response('Too many requests', {status: 429})"
        self.browser.execute_script(f"window.own = window.fetch; window.fetch = {answer}")
        self.until(lambda: "will try again" in self.text("#redislock-status"))
        self.browser.execute_script("window.fetch = window.own")
        hold("a")
        self.until(lambda: "a" in self.text("#result_list tbody th"))

    def test_the_keyboard_reaches_everything_in_order(self) -> None:
        hold("a")
        self.log_in()
        self.one("#searchbar").click()
        reached = []
        for _step in range(20):
            ActionChains(self.browser).send_keys(Keys.TAB).perform()
            active = self.browser.switch_to.active_element
            reached.append(active.get_attribute("id") or active.text or active.accessible_name)
        wanted = ["redislock-pause", "redislock-reload", "redislock-all", "Select a", "a"]
        assert [one for one in reached if one in wanted] == wanted

    def test_the_page_is_complete_without_scripts(self) -> None:
        hold("a")
        self.log_in()
        self.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            self.visit(PAGE)
            assert self.one("#result_list tbody th").text == "a"
            assert not self.one("#redislock-pause").is_displayed()
            assert not self.one("#redislock-all").is_displayed()
            assert self.one(".redislock-controls a").is_displayed()
            self.one("input[name=hold]").click()
            self.one(".redislock-actions button").click()
            self.one("input[name=reason]").send_keys("because", Keys.ENTER)
            assert "1 lock was released by force." in self.one(".messagelist").text
        finally:
            self.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
