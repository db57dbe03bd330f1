"""The clock that leases and waits are counted on: seconds since some moment, never set back.

It runs on in tests that freeze or travel time, since the locks are real. freezegun replaces
``time.monotonic`` itself in every module that has it; what calls it is left alone.
"""

from functools import partial
from time import monotonic as _monotonic

__all__ = ["monotonic"]

monotonic = partial(_monotonic)
