"""The two sales of a demo run, started and watched through the site's own URLs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from example_project.tickets.buyers import post

from . import HOST

LOOK_EVERY = 0.1  # seconds


class Unanswered(Exception):
    """The site did not answer as expected; the message includes its answer."""


@dataclass(frozen=True)
class Sale:
    """The result of a sale: ``sales`` according to the database, ``rush`` to the buyers."""

    sales: dict[str, Any]
    rush: dict[str, Any]

    def told(self, result: str) -> int:
        """Return how many buyers got this result in the end."""
        count: int = self.rush["told"].get(result, 0)
        return count

    @property
    def exact(self) -> bool:
        """Whether every ticket was sold once, and every buyer got the right answer."""
        sold = min(self.rush["buyers"], self.sales["tickets"])
        return (
            self.sales["sold"] == self.told("sold") == sold
            and self.sales["stock"] == self.sales["tickets"] - sold
            and self.told("sold_out") == self.rush["buyers"] - sold
        )


def sell(
    port: int, *, tickets: int, buyers: int, on_look: Callable[[list[int]], object]
) -> tuple[Sale, Sale]:
    """Send the buyers to both sales, wait for all answers, and return the unguarded and the
    guarded sale.

    ``on_look`` is called with the number of answered buyers of each. Raises Unanswered.
    """
    fields = {"tickets": tickets, "buyers": buyers}
    try:
        status, _, answer = post(f"{HOST}:{port}", "/rush/", fields)
        if status != 200:
            raise Unanswered(f"POST /rush/: status {status}, {answer.get('text')}")
        while True:
            panes = look(port)["panes"]
            on_look([len(pane["done"]) for pane in panes])
            if not any(pane["running"] for pane in panes):
                unguarded, guarded = (Sale(pane, pane["rush"]) for pane in panes)
                return unguarded, guarded
            time.sleep(LOOK_EVERY)
    except (OSError, HTTPException) as error:
        raise Unanswered(f"The site does not answer: {error!r}") from error


def look(port: int) -> dict[str, Any]:
    """Return the content of the page. Raises OSError, HTTPException and Unanswered."""
    try:
        with urlopen(f"http://{HOST}:{port}/live/") as response:
            scene: dict[str, Any] = json.load(response)
    except HTTPError as error:
        with error:
            raise Unanswered(f"GET /live/: status {error.code}") from error
    return scene
