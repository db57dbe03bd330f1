"""A site that a server loads before it forks, and before gevent replaces the standard library."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

import django

django.setup()

from django_redislock import LockError, lock  # noqa: E402
from tests.known_faults.sweeps import begin  # noqa: E402
from tests.support.places import Place  # noqa: E402

LEASE = 0.6

begin(Place(os.environ["KNOWN_FAULTS_URL"], os.environ["KNOWN_FAULTS_PREFIX"]))

# Like a project that takes a lock while it is loaded.
with lock("loading"):
    pass


def application(
    environ: dict[str, object], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """Hold a lock for several leases, and answer whether it is still held."""
    try:
        with lock(str(environ["PATH_INFO"]), lease=LEASE, wait=5) as held:
            time.sleep(3 * LEASE)
            held.check()
        said = b"held"
    except LockError as error:
        said = repr(error).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [said]
