"""Answers in the form that the client prefers: a message on the page, or JSON."""

from __future__ import annotations

import os
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse

LEVELS = {2: messages.SUCCESS, 4: messages.WARNING, 5: messages.ERROR}


def answer(request: HttpRequest, status: int, result: str, text: str, **facts: Any) -> HttpResponse:
    """Answer a program with JSON and ``status``, and a browser with a page that shows ``text``."""
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        # The pid shows which of the site's processes has answered.
        facts |= {"result": result, "text": text, "pid": os.getpid()}
        return JsonResponse(facts, status=status)
    messages.add_message(request, LEVELS[status // 100], text)
    return HttpResponseRedirect(reverse("tickets:office"), status=303)


def short_fence(fence: int) -> str:
    """Return the last digits of a fence, in which consecutive fences differ.

    A word joiner prevents a line break.
    """
    return f"…\u2060{fence % 1_000_000:06d}"
