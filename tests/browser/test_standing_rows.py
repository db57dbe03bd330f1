"""Stable rows: they keep their places, and figures that are not live are marked."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence

import pytest
from selenium.webdriver.common.keys import Keys

from django_redislock import lock_backends
from django_redislock.backends.base import Entry, Extension
from django_redislock.exceptions import LockUnavailable
from django_redislock.figures.meter import Batch
from django_redislock.figures.tallies import Tally
from tests.browser.axe import violations
from tests.browser.site import PAGE, BrowserTestCase
from tests.management.holds import hold, queue


def away(*_arguments: object) -> object:
    raise LockUnavailable("away")


class StableRowTests(BrowserTestCase):
    def states(self) -> list[str]:
        remarks = "#result_list .redislock-lease .redislock-remark"
        script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)"
        return list(self.browser.execute_script(script, remarks))

    def test_rows_keep_their_places_their_selection_and_the_focus(self) -> None:
        tokens = {name: hold(name, lease=lease) for lease, name in ((300, "a"), (400, "b"))}
        self.log_in()
        box = self.one("input[aria-label='Select a']")
        box.send_keys(Keys.SPACE)
        hold("first", lease=250)
        lock_backends["memory"].extend(Extension("a", tokens["a"], 900))
        lock_backends["memory"].release("b", tokens["b"])
        self.until(lambda: self.states() == ["renewing", "ended"])
        assert self.text("#result_list tbody tr:first-child th") == "a"
        assert "14 min" in self.text("#result_list tbody tr:first-child .redislock-left")
        assert self.text("#result_list tbody tr:last-child .redislock-left") == "\u2013"
        assert self.text("#redislock-reload") == "1 more since"
        assert violations(self.browser) == []
        assert box.is_selected()
        assert self.browser.switch_to.active_element == box
        self.one("#redislock-reload").click()
        self.until(lambda: self.text("#result_list tbody tr:first-child th") == "first")
        assert "ended" not in self.text("#result_list")

    def test_twenty_rows_stay_selected_while_300_locks_are_renewed(self) -> None:
        tokens = {f"a{number}": hold(f"a{number}", lease=100 + number) for number in range(300)}
        self.log_in()
        wanted = [f"a{number}" for number in range(20)]
        self.browser.set_window_size(1280, 800)
        stood_at = self.one("#result_list").rect["y"]
        for name in wanted:
            self.one(f"input[aria-label='Select {name}']").click()
        assert self.text("#redislock-selected") == "20 selected"
        assert self.one("#result_list").rect["y"] == stood_at, "selecting a row moves none"
        backend = lock_backends["memory"]
        backend.extend_all([Extension(name, token, 500) for name, token in tokens.items()])
        self.until(lambda: set(self.states()) == {"renewing"})
        assert self.text("#redislock-selected") == "20 selected"
        self.one(".redislock-actions button").click()
        self.until(lambda: "These 20 locks will be released by force" in self.text())
        script = (
            "return [...document.querySelectorAll('#content tbody th')].map((one) => one.innerText)"
        )
        assert self.browser.execute_script(script) == wanted

    def test_all_results_of_a_search_can_be_selected_across_pages(self) -> None:
        for number in range(130):
            hold(f"order:{number}", lease=100 + number)
        hold("feed", lease=20)
        self.log_in()
        self.visit(f"{PAGE}?q=order")
        assert not self.one("#redislock-all-found").is_displayed()
        self.one("#redislock-all").click()
        assert self.text("#redislock-selected") == "100 selected"
        button = self.one("#redislock-all-found")
        assert button.text == "Select all 130 found"
        button.send_keys(Keys.ENTER)
        assert self.text("#redislock-selected") == "130 selected"
        assert not button.is_displayed()
        self.one("input[aria-label='Select order:5']").click()
        assert self.text("#redislock-selected") == "99 selected"
        self.one("input[aria-label='Select order:5']").click()
        self.one("#redislock-all-found").click()
        self.one(".redislock-actions button").click()
        self.until(lambda: "These 130 locks will be released by force" in self.text())
        assert "feed:" not in self.text("#content tbody")

    def test_the_list_starts_again_when_all_its_holds_have_ended(self) -> None:
        token = hold("a")
        self.log_in()
        self.mark()
        hold("b")
        lock_backends["memory"].release("a", token)
        self.until(lambda: self.text("#result_list tbody th") == "b")
        assert not self.was_reloaded

    def test_rows_of_an_unreachable_server_stay(self) -> None:
        hold("a", lease=300)
        self.log_in()
        backend = lock_backends["memory"]
        with pytest.MonkeyPatch.context() as patch:
            for verb in ("entries", "entries_of", "inspect", "look_up"):
                patch.setattr(backend, verb, away)
            self.until(lambda: self.states() == ["not known"])
            # Two more refreshes.
            for _number in range(2):
                self.mark_refresh()
                self.until(self.was_refreshed)
            assert self.states() == ["not known"]
            name = self.one("#result_list .redislock-name")
            line = name.value_of_css_property("text-decoration-line")
            assert line == "none", "it is not shown as one that has ended"
            assert "0 locks" not in self.text()
        self.until(lambda: self.states() == ["held"])

    def test_the_focus_and_ticks_stay_when_another_server_stops_to_answer(self) -> None:
        hold("a", lease=300)
        queue("a")
        tally = Tally(acquired=7, waits=[7] + [0] * 23)
        lock_backends["memory"].add_tallies(Batch("1", {"order:*": tally}))
        self.log_in()
        backend = lock_backends["default"]
        verbs = ("entries", "entries_of", "inspect_all", "tallies", "waited_for")
        for path, focused in (
            (PAGE, "input[name=hold]"),
            (f"{PAGE}hot/", "#hot_list tbody a"),
            (f"{PAGE}waits/", ".redislock-waits a"),
        ):
            self.visit(path)
            focus = "window.focused = arguments[0]; arguments[0].focus()"
            self.browser.execute_script(focus, self.one(focused))
            if path == PAGE:
                self.one(focused).send_keys(Keys.SPACE)
            with pytest.MonkeyPatch.context() as patch:
                for verb in verbs:
                    patch.setattr(backend, verb, away)
                self.until(lambda: "“default” cannot be shown" in self.text())
                kept = "return document.activeElement === window.focused"
                assert self.browser.execute_script(kept), path
                if path == PAGE:
                    assert self.one(focused).is_selected()

    def test_the_focus_stays_on_a_name_that_moves(self) -> None:
        backend = lock_backends["memory"]

        def count(family: str, acquired: int) -> None:
            tally = Tally(acquired=acquired, waits=[acquired] + [0] * 23)
            backend.add_tallies(Batch(f"{family}{acquired}", {family: tally}))

        count("a:*", 7)
        count("b:*", 3)
        token = hold("a")
        hold("b")
        for name in "ab":
            queue(name)
        self.log_in()
        for path, name, move, after in (
            ("hot/", "b:*", lambda: count("b:*", 20), ["b:*", "a:*"]),
            ("waits/", "b", lambda: backend.release("a", token), ["b"]),
        ):
            self.visit(f"{PAGE}{path}")
            links = "[...document.querySelectorAll('#hot_list tbody a, .redislock-waits a')]"
            focus = f"{links}.find((one) => one.innerText === arguments[0]).focus()"
            self.browser.execute_script(focus, name)
            move()
            texts = f"return {links}.map((one) => one.innerText)"
            self.until(lambda t=texts, a=after: self.browser.execute_script(t) == a)
            focused = "return document.activeElement.innerText"
            assert self.browser.execute_script(focused) == name, path

    def mark_refresh(self) -> None:
        script = "window.refreshed = false; document.getElementById('redislock-live')"
        script += ".addEventListener('redislock:refreshed', () => { window.refreshed = true; })"
        self.browser.execute_script(script)

    def was_refreshed(self) -> bool:
        return bool(self.browser.execute_script("return window.refreshed"))

    def test_a_server_that_hangs_does_not_show_old_figures_as_live(self) -> None:
        hold("a", lease=600)
        answer = threading.Event()
        self.addCleanup(answer.set)
        backend = lock_backends["memory"]
        original = backend.entries_of

        def hang(names: Sequence[str]) -> Sequence[Entry]:
            answer.wait(30)
            return original(names)

        self.log_in()
        backend.entries_of = hang  # type: ignore[method-assign]
        self.addCleanup(backend.__dict__.pop, "entries_of")
        self.until(lambda: re.search(r"No answer for [6-9] s", self.text("#redislock-silence")))
        left = self.left_and_silence()
        self.until(lambda: self.left_and_silence()[1] != left[1])
        assert self.left_and_silence()[0] == left[0], "it does not run down as if it were live"
        assert self.one("#redislock-live").get_attribute("class") == "redislock-stale"
        assert violations(self.browser) == []
        self.picture("no-answer")
        answer.set()
        self.until(lambda: self.text("#redislock-silence") == "")
        assert self.one("#redislock-live").get_attribute("class") == ""
        assert self.text("#redislock-status") == "Live, every 2 seconds"

    def left_and_silence(self) -> tuple[str, str]:
        return self.text(".redislock-left"), self.text("#redislock-silence")
