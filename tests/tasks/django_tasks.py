"""Tasks of docs/tasks.md for Django's own task framework."""

from __future__ import annotations

from django.conf import settings

from tests.tasks.recipes import load

imported: list[int] = []


def download(feed_id: int) -> str:
    imported.append(feed_id)
    return f"feed {feed_id} done"


assert settings.TASKS
load("django.tasks", globals())
