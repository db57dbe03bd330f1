"""Real clocks, even in tests that freeze time or travel in it.

freezegun replaces the functions of ``time`` in every module that has them as a global. It does not
know these objects, so the clocks that are imported from here keep running.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial

__all__ = ["monotonic", "utc_now", "wall_time"]

# A partial of a C function costs nothing; a Python function would slow down each acquire.
monotonic: Callable[[], float] = partial(time.monotonic)

# Seconds since 1970.
wall_time: Callable[[], float] = partial(time.time)

# The same, as a date.
utc_now: Callable[[], datetime] = partial(datetime.now, timezone.utc)
