"""Export of the rows that a list shows, for other programs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from ..exceptions import InvalidLockBackend
from ..operations.serializers import as_csv, as_json
from .base import BaseLockAdmin
from .live import LiveLocks

__all__ = ["exported"]

FORMATS = {"csv": (as_csv, "text/csv"), "json": (as_json, "application/json")}


def exported(model_admin: BaseLockAdmin, request: HttpRequest) -> HttpResponse:
    """Return one page of the list, as CSV unless the request asks for another known format."""
    wanted = request.GET.get("format", "")
    name = wanted if wanted in FORMATS else "csv"
    write, content_type = FORMATS[name]
    headers = {"Content-Disposition": f'attachment; filename="locks.{name}"'}
    try:
        live = LiveLocks(model_admin, request.GET)
    except InvalidLockBackend as error:
        return _failed(error)
    if live.silent:
        # A file without the locks of one backend must not look complete.
        return _failed(live.silent[0].error)
    text = "".join(f"{line}\n" for line in write(live.found))
    return HttpResponse(text, content_type=f"{content_type}; charset=utf-8", headers=headers)


def _failed(error: Exception) -> HttpResponse:
    return HttpResponse(f"{error}\n", status=503, content_type="text/plain")
