"""Buyers at a site with answers that a real one rarely gives."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from example_project.tickets.buyers import Rush, send
from example_project.tickets.news import latest
from tests.support.processes import wait_until

SOLD = (200, {"result": "sold", "text": "Sold.", "pid": 7})
BUSY = (423, {"status": 423, "detail": "Try again a little later."})
DOWN = (503, {"status": 503, "detail": "Nothing was done."})
LOST = (409, {"result": "lost", "text": "The lock was lost.", "pid": 7})
HANGS_UP = (0, {})

StartSite = Callable[..., str]


@pytest.fixture
def site() -> Iterator[StartSite]:
    """A function that starts a site with these answers, in order; it returns host and port."""
    answers: list[tuple[int, dict[str, object]]] = []
    taking = threading.Lock()

    class Site(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with taking:
                status, body = answers.pop(0)
            if not status:
                return
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    def start(*these: tuple[int, dict[str, object]]) -> str:
        answers.extend(these)
        return f"127.0.0.1:{server.server_port}"

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield start
        server.shutdown()


def rush(buyers: int, office: str) -> Rush:
    rush = Rush(1, buyers, [office])
    rush.run()
    return rush


def test_a_busy_buyer_tries_again(site: StartSite) -> None:
    summary = rush(2, site(BUSY, BUSY, BUSY, SOLD, SOLD)).summary()

    assert summary["told"] == {"sold": 2}
    assert (summary["busy"], summary["processes"], summary["failed"]) == (3, 1, 0)


@pytest.mark.parametrize("failure", [DOWN, HANGS_UP], ids=["down", "hangs up"])
def test_a_buyer_without_a_valid_answer_has_an_error(
    site: StartSite, failure: tuple[int, dict[str, object]]
) -> None:
    summary = rush(3, site(SOLD, failure, SOLD)).summary()

    assert summary["told"] == {"sold": 2, "error": 1}
    assert summary["failed"] == 1
    assert summary["failure"]


def test_buyers_unknown_to_the_lock_are_at_the_end_of_the_queue() -> None:
    rush = Rush(1, 5, [])
    waiting = rush.waiting(["Buyer 3", "Ada", "Buyer 5", "Buyer 1"], [rush.buyers[4]])

    assert [buyer.number for buyer in waiting] == [3, 1, 2, 4]


def test_a_late_write_is_in_the_news(site: StartSite) -> None:
    rush(1, site(LOST))

    assert "The lock was lost." in latest()[0].text
    assert latest()[0].kind == "refusal"


def test_no_buyers_are_sent_while_others_have_no_answer() -> None:
    prepared = []
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        first = Rush(7, 1, [f"127.0.0.1:{deaf.getsockname()[1]}"])
        send([first], lambda: prepared.append(1))
        with pytest.raises(RuntimeError):
            send([Rush(7, 1, [])], lambda: prepared.append(2))
    wait_until(lambda: first.is_over)
    send([Rush(7, 0, [])], lambda: prepared.append(3))

    assert prepared == [1, 3]
