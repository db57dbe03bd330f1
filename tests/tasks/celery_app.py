"""Tasks of docs/tasks.md for the Celery workers of the tests."""

from __future__ import annotations

import django
from django.conf import settings

from tests.tasks.board import Board
from tests.tasks.broker import celery
from tests.tasks.recipes import load

django.setup()

app = celery(settings.REDIS_URL, settings.PREFIX)
app.set_current()
board = Board(settings.REDIS_URL, settings.PREFIX)


def download(feed_id: int) -> str:
    return board.work(f"feed {feed_id}")


load("celery", globals())


@app.task
def queue(feed_id: int) -> bool:
    """Queue a task as a view does."""
    done: bool = globals()["queue_feed"](feed_id)
    return done
