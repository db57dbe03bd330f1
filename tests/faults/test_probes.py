"""Probes of stalls: what they measure."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.faults.workers import probes


class SlowHistory:
    """A history that takes long to write, as on a machine that stalls again meanwhile."""

    TAKES = 0.05  # seconds

    def __init__(self) -> None:
        self.stalls: list[tuple[float, float]] = []

    def record(self, kind: str, *, at: int, who: str, wait: float) -> None:
        if len(self.stalls) == 3:
            raise KeyboardInterrupt
        self.stalls.append((at / 1e9, at / 1e9 + wait))
        time.sleep(self.TAKES)


async def in_loop(history: Any) -> None:
    await probes.probe_loop(history)


@pytest.mark.parametrize(
    "probe", [probes._probe, lambda history: asyncio.run(in_loop(history))], ids=["thread", "loop"]
)
def test_a_stall_while_another_is_written_down_is_measured(
    probe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "LATE", -1)
    history = SlowHistory()
    with pytest.raises(KeyboardInterrupt):
        probe(history)
    for (_, end), (begin, _) in zip(history.stalls, history.stalls[1:], strict=False):
        assert begin == pytest.approx(end, abs=1e-6)
