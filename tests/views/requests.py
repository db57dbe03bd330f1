"""Requests and the contents of their responses."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from django_redislock import lock_backends

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def request(method: str = "POST", accept: str | None = None, user: int = 1) -> HttpRequest:
    headers = {"accept": accept} if accept is not None else {}
    made = RequestFactory().generic(method, "/somewhere/", headers=headers)
    made.user = SimpleNamespace(pk=user)
    return made


def holds(name: str, alias: str) -> int:
    return len(lock_backends[alias].inspect(name)[0])


def content(response: Any) -> str:
    assert isinstance(response, HttpResponse)
    return response.content.decode()


def problem(response: Any) -> Any:
    assert response["Content-Type"] == "application/problem+json"
    return json.loads(response.content)
