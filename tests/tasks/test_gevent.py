"""Locks in a process whose threads are greenlets."""

from __future__ import annotations

import json

import pytest

from tests.tasks.programs import running

pytest.importorskip("gevent", reason="gevent is not installed")


def test_greenlets_are_served_in_their_order(key_prefix: str) -> None:
    with running(key_prefix, "-m", "tests.tasks.greenlets") as program:
        program.ended()
        assert program.process.returncode == 0, program.said
        result = json.loads(program.said)
    assert result["served"] == list(range(50))
    # While all of them waited, another greenlet went on.
    assert result["longest_pause"] < 5
