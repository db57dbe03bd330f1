"""The two sales of a demo run: sent off and watched through the site's own addresses."""

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
    """The site did not do as it was asked; the message says what it answered."""


@dataclass(frozen=True)
class Sale:
    """What came of a sale: ``sales`` is what the database says, ``rush`` what the buyers do."""

    sales: dict[str, Any]
    rush: dict[str, Any]

    def told(self, result: str) -> int:
        """How many buyers were told this in the end."""
        count: int = self.rush["told"].get(result, 0)
        return count

    @property
    def exact(self) -> bool:
        """Whether every ticket was sold once, and every buyer was told the truth."""
        sold = min(self.rush["buyers"], self.sales["tickets"])
        return (
            self.sales["sold"] == self.told("sold") == sold
            and self.sales["stock"] == self.sales["tickets"] - sold
            and self.told("sold_out") == self.rush["buyers"] - sold
        )


def sell(
    port: int, *, tickets: int, buyers: int, on_look: Callable[[list[int]], object]
) -> tuple[Sale, Sale]:
    """Send the buyers to both sales, and wait for all answers: unguarded and guarded.

    ``on_look`` is called with how many have an answer in each. Raises Unanswered.
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
    """What the page shows. Raises OSError, HTTPException and Unanswered."""
    try:
        with urlopen(f"http://{HOST}:{port}/live/") as response:
            scene: dict[str, Any] = json.load(response)
    except HTTPError as error:
        with error:
            raise Unanswered(f"GET /live/: status {error.code}") from error
    return scene
