"""Many buyers at once, over HTTP, each in a thread of its own."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlencode

from . import HOST

ANSWERED_WITHIN = 120.0  # seconds, busy answers and tries again included


@dataclass(frozen=True)
class Answer:
    """What a buyer was told in the end: ``result`` as in the site's JSON, or ``error``."""

    result: str
    text: str = ""
    pid: int = 0  # of the server process
    busy: int = 0  # answers that said "try again later"


@dataclass(frozen=True)
class Rush:
    """What came of a rush of buyers, and what the site's database says after it."""

    buyers: int
    seconds: float
    answers: list[Answer]
    sales: dict[str, int]

    def told(self, result: str) -> int:
        return Counter(answer.result for answer in self.answers)[result]

    @property
    def exact(self) -> bool:
        """Whether every ticket was sold once, and every buyer was told the truth."""
        sold = min(self.buyers, self.sales["tickets"])
        return (
            self.sales["sold"] == self.told("sold") == sold
            and self.sales["stock"] == self.sales["tickets"] - sold
            and self.told("sold_out") == self.buyers - sold
        )


class Unanswered(Exception):
    """The site did not do as it was asked; the message says what it answered."""


def rush(
    ports: list[int], *, guarded: bool, tickets: int, buyers: int, on_answer: Callable[[], object]
) -> Rush:
    """Put ``tickets`` on sale, send all ``buyers`` at once, and wait for every answer.

    ``on_answer`` is called for each. Raises Unanswered if the tickets cannot be put on sale.
    """
    event = ask(ports[0], "GET", "/stock/")["event"]
    ask(ports[0], "POST", "/restock/", {"event": event, "tickets": tickets})
    answers: SimpleQueue[Answer] = SimpleQueue()
    start = threading.Barrier(buyers + 1)

    def buyer(number: int) -> None:
        fields = {
            "event": event,
            "guarded": "yes" if guarded else "no",
            "buyer": f"Buyer {number}",
        }
        start.wait()
        answers.put(_buy(ports[number % len(ports)], fields))

    for number in range(buyers):
        # Daemons, because Ctrl-C does not wait for the answers.
        threading.Thread(target=buyer, args=(number,), daemon=True).start()
    start.wait()
    started = time.monotonic()
    received = []
    for _ in range(buyers):
        received.append(answers.get())
        on_answer()
    seconds = time.monotonic() - started
    return Rush(buyers, seconds, received, ask(ports[0], "GET", "/stock/"))


def ask(port: int, method: str, path: str, fields: dict[str, Any] | None = None) -> dict[str, Any]:
    """Send a request that must succeed; return its answer. Raises Unanswered."""
    try:
        status, _, answer = _request(port, method, path, fields)
    except (OSError, HTTPException) as error:
        raise Unanswered(f"{method} {path}: {error!r}") from error
    if status != 200:
        raise Unanswered(f"{method} {path}: status {status}, {answer.get('text')}")
    return answer


def _buy(port: int, fields: dict[str, Any]) -> Answer:
    """Try until the answer is another than "busy", or for ``ANSWERED_WITHIN``."""
    deadline = time.monotonic() + ANSWERED_WITHIN
    busy = 0
    while True:
        try:
            status, retry_after, answer = _request(port, "POST", "/buy/", fields)
        except (OSError, HTTPException) as error:
            return Answer("error", repr(error), busy=busy)
        if status != 423:
            # An answer of locked_view's own, such as that Redis is down, has other fields.
            text = answer.get("text") or answer.get("detail") or f"status {status}"
            return Answer(answer.get("result", "error"), text, answer.get("pid", 0), busy)
        busy += 1
        if time.monotonic() + retry_after > deadline:
            return Answer("busy", busy=busy)
        time.sleep(retry_after)


def _request(
    port: int, method: str, path: str, fields: dict[str, Any] | None
) -> tuple[int, float, dict[str, Any]]:
    """Return the status, the seconds of Retry-After, and the JSON of the answer."""
    secret = secrets.token_hex(16)
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        # What a browser does with the form's token: Django compares the two.
        "Cookie": f"csrftoken={secret}",
        "X-CSRFToken": secret,
        "Connection": "close",
    }
    connection = HTTPConnection(HOST, port, timeout=ANSWERED_WITHIN)
    try:
        connection.request(method, path, urlencode(fields or {}), headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {}
    return response.status, float(response.getheader("Retry-After", "1")), answer
