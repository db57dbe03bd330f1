"""Responses of a view that did not get its lock."""

from __future__ import annotations

import json
import math
import sys
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from ..estimates import retry_after
from ..exceptions import LockNotAcquired, LockUnavailable
from .page import try_later_page

__all__ = ["bad_request", "busy_response", "unavailable_response"]

# Clients are asked to try again after this long (seconds) when the server is unavailable.
UNAVAILABLE_RETRY_AFTER = 5

PROBLEM = "application/problem+json"


def busy_response(
    request: HttpRequest, error: LockNotAcquired, *, status: int = 423
) -> HttpResponse:
    """Return the response of ``locked_view`` for a busy lock, with the time to try again.

    For a lock that a view takes in its body. In a coroutine view, call it by ``sync_to_async``,
    because your template ``<status>.html`` may query the database. If Django REST Framework handles
    the request, the response is raised as an ``APIException`` instead.
    """
    if not isinstance(error, LockNotAcquired):
        raise TypeError(
            "busy_response() takes the request and the LockNotAcquired of a busy lock, not "
            f"{error!r}. Write `except LockNotAcquired as error:`"
        )
    detail = _("Another request is doing this at the moment. Please try again a little later.")
    return _try_later(request, status, _("Busy right now"), detail, retry_after(error), error)


def unavailable_response(request: HttpRequest, error: LockUnavailable) -> HttpResponse:
    """Return, or raise as in ``busy_response``, the response for a lock server that is down.

    If ``DEBUG`` is on, it includes the error.
    """
    detail = _("Nothing was done, because it could not be done safely. Please try again later.")
    if settings.DEBUG:
        detail = f"{detail} DEBUG: {error}"
    return _try_later(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        _("Not available right now"),
        detail,
        UNAVAILABLE_RETRY_AFTER,
    )


def bad_request(request: HttpRequest, why: str) -> Exception:
    """Return the exception for a request with a value that no name can have."""
    if not _uses_rest_framework(request):
        return BadRequest(why)
    from rest_framework.exceptions import ParseError

    error: Exception = ParseError(why if settings.DEBUG else None)
    return error


def _uses_rest_framework(request: object) -> bool:
    """Whether this is a request object of Django REST Framework."""
    module = sys.modules.get("rest_framework.request")
    return module is not None and isinstance(request, module.Request)


def _try_later(
    request: HttpRequest,
    status: int,
    title: str,
    detail: str,
    seconds: int,
    error: LockNotAcquired | None = None,
) -> HttpResponse:
    if _uses_rest_framework(request):
        raise _api_exception(status, detail, seconds)
    # ``Accept: */*`` usually means a program: HTML is for clients that ask for it.
    wanted = request.get_preferred_type([PROBLEM, "application/json", "text/html"])
    if wanted == "text/html":
        page = try_later_page(request, title, detail, status, seconds, error)
        response = HttpResponse(page, status=status)
    else:
        response = HttpResponse(
            json.dumps(
                {
                    "type": "about:blank",
                    "title": HTTPStatus(status).phrase,
                    "status": int(status),
                    "detail": detail,
                    "retry_after": seconds,
                    **_in_numbers(error),
                }
            ),
            status=status,
            content_type=PROBLEM,
        )
    response["Retry-After"] = str(seconds)
    # A decorator above the lock, such as cache_control(max_age=...), means the view's own response.
    response["Cache-Control"] = "no-store"
    patch_vary_headers(response, ["Accept"])
    return response


def _in_numbers(error: LockNotAcquired | None) -> dict[str, int]:
    """Return the place in the queue and the estimated wait (whole seconds), if known."""
    found = {name: getattr(error, name, None) for name in ("position", "estimated_wait")}
    return {name: math.ceil(number) for name, number in found.items() if number is not None}


def _api_exception(status: int, detail: str, seconds: int) -> Exception:
    from rest_framework.exceptions import APIException

    error: Any = APIException(detail, code=HTTPStatus(status).phrase.lower().replace(" ", "_"))
    error.status_code = status
    error.wait = seconds  # REST framework sends it as Retry-After
    return error  # type: ignore[no-any-return]
