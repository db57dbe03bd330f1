"""Hostile texts in names, labels and other data from visitors."""

from __future__ import annotations

import logging
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client

from django_redislock import lock, lock_backends
from django_redislock.figures.meter import Batch
from django_redislock.figures.tallies import Tally
from tests.admin.pages import page, release
from tests.management.holds import hold, queue
from tests.security.pages import address, ask, held, views
from tests.support.commands import output_of

pytestmark = pytest.mark.django_db

MARKER = "hostile"
TEXTS = {
    "element": f"<img src=x onerror={MARKER}>",
    "script": f"</script><script>{MARKER}()</script>",
    "attribute": f"\" onmouseover='{MARKER}' x=\"",
    "comment": f"--><!-- {MARKER}",
    "entity": f"&lt;b&gt;{MARKER}&#x202e;",
    "template": f"{{{{ 6|add:7 }}}}{{% now 'Y' %}}{MARKER}",
    "format": f"%s %(token)s {{token}} {MARKER}",
    "control": f"{MARKER}\x00\x07\x1b[2J\x1b]0;x\x07\r\n\x9b",
    "bidi": f"\u202e{MARKER}\u2066\u200f\u061c\u2028",
    "formula": f"=HYPERLINK({MARKER})",
}
# Characters that must not be shown: controls, and those that reverse or hide text.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture(params=list(TEXTS))
def text(request: pytest.FixtureRequest, admin_client: Client) -> str:
    """A text that is used everywhere: name, label, holder, waiter, family, and release."""
    text = TEXTS[request.param]
    fields = {"what": text, "label": text, "host": text, "thread": text}
    hold(text, **fields)
    reason = text.replace("\0", "")  # the form refuses that
    assert "1 lock was released" in release(admin_client, page(admin_client), reason=reason)
    hold(text, **fields)
    queue(text, **fields)
    tally = Tally(busy=1)
    tally.was_acquired(0.5)
    lock_backends["memory"].add_tallies(Batch(f"{MARKER}-batch", {text: tally}))
    return text


def seen(html: str) -> list[str]:
    """The places with invisible characters."""
    return [html[max(0, one.start() - 60) : one.end() + 20] for one in UNSEEN.finditer(html)]


class Elements(HTMLParser):
    """The elements of a page, and their active parts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.active: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name.startswith("on") or (name in ("src", "href") and _runs(value or "")):
                self.active.append(f"<{tag} {name}={value!r}>")
        if tag == "script" and not dict(attrs).get("src"):
            self.active.append("<script>")
        if tag in ("img", "iframe", "style"):
            self.active.append(f"<{tag}>")

    def handle_comment(self, data: str) -> None:
        if MARKER in data:
            self.active.append(f"<!--{data}-->")


def _runs(link: str) -> bool:
    return link.strip().lower().startswith(("javascript:", "data:", "vbscript:"))


@pytest.mark.parametrize("view", [view for view in views() if view != "export"])
def test_hostile_texts_change_no_page(admin_client: Client, text: str, view: str) -> None:
    response = ask(admin_client, view, text, held(admin_client))
    assert response.status_code == 200
    html = response.content.decode()
    assert Elements(html).active == []
    assert seen(html) == []
    assert MARKER in html or view == "summary", "it must be shown, otherwise this tests nothing"


@pytest.mark.parametrize("format_", ["csv", "json"])
def test_hostile_texts_change_no_file(admin_client: Client, text: str, format_: str) -> None:
    response = admin_client.get(address("export", text), {"format": format_})
    content = response.content.decode()
    assert MARKER in content
    assert UNSEEN.search(content.replace("\r\n", "\n")) is None
    assert not re.search(r"(^|,)\"?=", content), "no spreadsheet takes it for a formula"


@pytest.mark.parametrize("options", [{}, {"waits": True}])
def test_hostile_texts_do_not_control_a_terminal(text: str, options: dict[str, Any]) -> None:
    output = output_of("listlocks", backend="memory", **options)
    assert MARKER in output
    assert UNSEEN.search(output) is None


def test_hostile_texts_forge_no_line_of_the_log(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "django_redislock")
    output_of("clearlocks", backend="memory", all=True, interactive=False)
    shown = [record.getMessage() for record in caplog.records]
    assert any(MARKER in line for line in shown)
    assert [line for line in shown if "\n" in line or UNSEEN.search(line)] == []


def test_hostile_texts_forge_no_error_message(text: str) -> None:
    handle = lock(text, using="memory", wait=0)
    with pytest.raises(Exception, match=MARKER) as error, handle:
        pass
    for shown in (str(error.value), repr(error.value), repr(handle)):
        assert UNSEEN.search(shown) is None
