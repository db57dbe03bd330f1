"""Simulated buyers: many at once, each in its own thread and over HTTP, like real ones.

The buyers and their results are kept in the memory of the process that sent them. A real shop would
have no such module.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode

from .news import report

ANSWERED_WITHIN = 120.0  # seconds, including busy answers and retries


@dataclass
class Buyer:
    """``result`` is taken from the site's JSON answer. It is "error" if there was no such answer,
    and empty before the end.
    """

    number: int
    result: str = ""
    text: str = ""
    pid: int = 0  # of the server process
    busy: int = 0  # answers that said "try again later"

    @property
    def name(self) -> str:
        return f"Buyer {self.number}"


@dataclass
class Rush:
    """``size`` buyers who want a ticket for the same event at once, each at one of ``offices``."""

    event: int
    size: int
    offices: Sequence[str]  # host:port of each server process
    began: float = 0.0  # on the monotonic clock
    seconds: float = 0.0  # from the beginning to the last answer
    answered: list[Buyer] = field(default_factory=list)  # in the order of their answers

    def __post_init__(self) -> None:
        self.buyers = [Buyer(number) for number in range(1, self.size + 1)]

    def run(self) -> None:
        """Send the buyers, and wait for all answers."""
        self.began = time.monotonic()
        threads = [threading.Thread(target=self._buy, args=(buyer,)) for buyer in self.buyers]
        for thread in threads:
            thread.daemon = True  # the process may end before all answers have come
            thread.start()
        for thread in threads:
            thread.join()

    def _buy(self, buyer: Buyer) -> None:
        """Retry while the answer is "busy", for at most ``ANSWERED_WITHIN``."""
        office = self.offices[buyer.number % len(self.offices)]
        fields = {"event": self.event, "buyer": buyer.name}
        deadline = time.monotonic() + ANSWERED_WITHIN
        result = ""
        while not result:
            try:
                status, retry_after, answer = post(office, "/buy/", fields)
            except (OSError, HTTPException) as error:
                result, buyer.text = "error", repr(error)
                break
            if status != 423 or time.monotonic() + retry_after > deadline:
                result = answer.get("result", "error")
                buyer.text = answer.get("text") or answer.get("detail") or f"status {status}"
                buyer.pid = answer.get("pid", 0)
            else:
                buyer.busy += 1
                time.sleep(retry_after)
        if result == "lost":
            report("refusal", f"{buyer.name} wrote too late: {buyer.text}")
        buyer.result = result
        self.seconds = time.monotonic() - self.began
        self.answered.append(buyer)

    @property
    def is_over(self) -> bool:
        return len(self.answered) == self.size

    def waiting(self, queue: Iterable[str], answered: Sequence[Buyer]) -> list[Buyer]:
        """Return the buyers that are not ``answered``: first those in ``queue``, then the rest."""
        waiting = {buyer.name: buyer for buyer in self.buyers}
        for buyer in answered:
            del waiting[buyer.name]
        first = [waiting.pop(name) for name in queue if name in waiting]
        return first + list(waiting.values())

    def summary(self) -> dict[str, Any]:
        """Return the results of the rush, for programs."""
        answered = list(self.answered)
        failed = [one for one in answered if one.result not in ("sold", "sold_out")]
        return {
            "buyers": self.size,
            "seconds": self.seconds,
            "told": Counter(buyer.result for buyer in answered),
            "busy": sum(buyer.busy for buyer in answered),
            "processes": len({buyer.pid for buyer in answered if buyer.pid}),
            "failed": len(failed),
            "failure": failed[0].text if failed else "",
        }


_sending = threading.Lock()
_rushes: dict[int, Rush] = {}


def send(rushes: Sequence[Rush], prepare: Callable[[], object]) -> None:
    """Call ``prepare``, then run the rushes in the background, one after the other.

    They do not run at once, because buyers that wait for the lock would occupy the server processes
    and delay the others. Raises RuntimeError while an earlier rush runs.
    """
    with _sending:
        if not all(rush.is_over for rush in _rushes.values()):
            raise RuntimeError("The last buyers have not been answered yet.")
        prepare()
        _rushes.update({rush.event: rush for rush in rushes})
    threading.Thread(target=lambda: [rush.run() for rush in rushes], daemon=True).start()


def latest_rushes() -> dict[int, Rush]:
    """Return the latest rush of each event that has had one."""
    return dict(_rushes)


def post(office: str, path: str, fields: dict[str, Any]) -> tuple[int, float, dict[str, Any]]:
    """Return the status, the Retry-After in seconds, and the JSON of the answer.

    Raises OSError or HTTPException.
    """
    secret = secrets.token_hex(16)
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        # Django compares the two, as with the token of a browser's form.
        "Cookie": f"csrftoken={secret}",
        "X-CSRFToken": secret,
        "Connection": "close",
    }
    connection = HTTPConnection(office, timeout=ANSWERED_WITHIN)
    try:
        connection.request("POST", path, urlencode(fields), headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {}
    return response.status, float(response.getheader("Retry-After", "1")), answer
