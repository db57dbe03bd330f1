"""The buyers against a site that answers what a real one rarely does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from example_project.demo.buyers import Rush, Unanswered, rush

SALES = {"event": 1, "tickets": 2, "sold": 2, "stock": 0, "oversold": 0}
SOLD = (200, {"result": "sold", "text": "Sold.", "pid": 7})
BUSY = (423, {"status": 423, "detail": "Try again a little later."})
DOWN = (503, {"status": 503, "detail": "Nothing was done."})
HANGS_UP = (0, {})

Answers = list[tuple[int, dict[str, object]]]


@pytest.fixture
def sell() -> Iterator[Callable[..., Rush]]:
    """Send buyers to a site that gives these answers, one after the other."""
    answers: dict[str, Answers] = {}
    taking = threading.Lock()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(200, SALES)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with taking:
                self.answer(*answers[self.path].pop(0))

        def answer(self, status: int, body: dict[str, object]) -> None:
            if not status:
                return
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    def send(buyers: int, *buy: tuple[int, dict[str, object]], restock: int = 200) -> Rush:
        answers.update({"/buy/": list(buy), "/restock/": [(restock, {"text": "No."})]})
        ports = [server.server_port]
        return rush(ports, guarded=True, tickets=2, buyers=buyers, on_answer=lambda: None)

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield send
        server.shutdown()


def test_a_busy_buyer_tries_again(sell: Callable[..., Rush]) -> None:
    sale = sell(2, BUSY, BUSY, BUSY, SOLD, SOLD)

    assert sale.exact
    assert sum(answer.busy for answer in sale.answers) == 3


@pytest.mark.parametrize("failure", [DOWN, HANGS_UP], ids=["down", "hangs up"])
def test_a_buyer_with_no_proper_answer_makes_the_sale_inexact(
    sell: Callable[..., Rush], failure: tuple[int, dict[str, object]]
) -> None:
    sale = sell(3, SOLD, failure, SOLD)

    assert not sale.exact
    assert sale.told("error") == 1


def test_a_sale_that_cannot_begin(sell: Callable[..., Rush]) -> None:
    with pytest.raises(Unanswered, match="POST /restock/: status 503, No"):
        sell(2, restock=503)
