"""Site that the servers of the tests serve."""

from __future__ import annotations

import asyncio
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_redislock import lock
from tests.tasks.board import Board

board = Board(settings.REDIS_URL, settings.PREFIX)
kept: list[Any] = []


def work(request: HttpRequest, name: str) -> HttpResponse:
    """A request that takes a while."""
    with lock(name):
        return HttpResponse(board.work(name))


async def awork(request: HttpRequest, name: str) -> HttpResponse:
    async with lock(name):
        return HttpResponse(await asyncio.to_thread(board.work, name))


def keep(request: HttpRequest, name: str) -> HttpResponse:
    """Hold a lock for longer than the request."""
    held = lock(name)
    kept.append(held)
    return HttpResponse(held.acquire(wait=0))


urlpatterns = [
    path("work/<name>", work),
    path("awork/<name>", awork),
    path("keep/<name>", keep),
]
