"""Export of the rows that a list shows, for other programs."""

from __future__ import annotations

from django.http import HttpResponse

from ..operations.serializers import as_csv, as_json
from .live import LiveLocks

__all__ = ["exported"]

FORMATS = {"csv": (as_csv, "text/csv"), "json": (as_json, "application/json")}


def exported(live: LiveLocks, wanted: str) -> HttpResponse:
    """Return one page of the list, as CSV unless ``wanted`` is another known format."""
    name = wanted if wanted in FORMATS else "csv"
    write, content_type = FORMATS[name]
    headers = {"Content-Disposition": f'attachment; filename="locks.{name}"'}
    if live.silent:
        # A file without the locks of one backend must not look complete.
        return HttpResponse(f"{live.silent[0].error}\n", status=503, content_type="text/plain")
    text = "".join(f"{line}\n" for line in write(live.found))
    return HttpResponse(text, content_type=f"{content_type}; charset=utf-8", headers=headers)
