"""Middleware that answers lock errors, in one place for all views."""

from __future__ import annotations

import math
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from django_redislock import LockLost, LockNotAcquired, LockUnavailable

from .answers import answer


class LockErrorsMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        match error:
            case LockNotAcquired():
                holder = error.holder or "unknown"
                text = f"Another request is already doing this: {holder}. Try again a little later."
                response = answer(request, 423, "busy", text)
                response["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
                return response
            case LockLost():
                text = f"The work was not finished under its lock. {error}"
                return answer(request, 409, "lost", text)
            case LockUnavailable():
                text = "Nothing was done: the lock service (Redis) cannot be reached."
                return answer(request, 503, "unavailable", text)
        return None
