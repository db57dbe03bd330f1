"""Texts of the pages that are written in the other direction than the page."""

from __future__ import annotations

from tests.browser.site import PAGE, BrowserTestCase
from tests.management.holds import hold

# The texts whose last character is to the left of their first one. Django writes the filters and
# the number of the locks.
TURNED = """
    const place = (node, from) => {
        const range = document.createRange();
        range.setStart(node, from);
        range.setEnd(node, from + 1);
        return range.getBoundingClientRect();
    };
    const turned = [];
    for (const part of document.querySelectorAll(".messagelist, #content-main")) {
        const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) {
            const node = texts.currentNode;
            const text = node.data.trim();
            if (!text || node.parentNode.closest("#changelist-filter, .paginator")) {
                continue;
            }
            const begin = node.data.indexOf(text);
            const [first, last] = [place(node, begin), place(node, begin + text.length - 1)];
            if (first.width && first.top === last.top && last.left < first.left) {
                turned.push(text);
            }
        }
    }
    return turned;
"""


class DirectionTests(BrowserTestCase):
    """Hebrew has no translation, so the pages have English texts in a page from right to left."""

    def visit_in_hebrew(self, path: str = PAGE) -> None:
        self.log_in()
        self.browser.add_cookie({"name": "django_language", "value": "he", "path": "/"})
        self.visit(path)
        assert self.one("html").get_attribute("dir") == "rtl"

    def turned(self) -> list[str]:
        return list(self.browser.execute_script(TURNED))

    def test_a_turned_text_is_found(self) -> None:
        self.visit_in_hebrew()
        sentence = "document.querySelector('.redislock-empty')"
        self.browser.execute_script(f"{sentence}.style.unicodeBidi = 'normal'")
        assert self.turned() == ["No lock is held at the moment."]

    def test_an_empty_list_and_an_unknown_name(self) -> None:
        self.visit_in_hebrew()
        assert self.turned() == []
        self.visit_name("memory", "a")
        assert "This name is not held at the moment." in self.text()
        assert self.turned() == []

    def test_a_release(self) -> None:
        token = hold("a")
        self.visit_in_hebrew()
        self.one("#result_list tbody th a").click()
        self.until(lambda: f"{token[:8]}…" in self.text("code"))
        assert self.turned() == []
        self.one("#redislock-live form button").click()
        self.until(lambda: "will be released by force" in self.text())
        assert self.turned() == []
        self.one("#id_reason").submit()
        self.until(lambda: "was released by force." in self.text(".messagelist"))
        assert self.turned() == []
        self.visit(f"{PAGE}released/")
        assert "Token: " in self.text()
        assert self.turned() == []
