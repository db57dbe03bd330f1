"""Two builds side by side, as in every rolling deploy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.formats.build import build

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
# Builds of earlier releases; see build.py. Each is kept while its release may still run.
OTHERS = sorted(HERE.glob("*.zip"))
NAME = "order 42"


class Peer:
    """A process of one build."""

    def __init__(self, build: Path, url: str, prefix: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "peer.py"), str(build), url, prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def __call__(self, verb: str, *arguments: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([verb, *arguments]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"{verb}{arguments} failed"
        return json.loads(line)

    def close(self) -> None:
        self.process.communicate(timeout=30)


@pytest.fixture(params=[(other, swapped) for other in OTHERS for swapped in (False, True)], ids=str)
def peers(
    request: pytest.FixtureRequest, redis_url: str, key_prefix: str
) -> Iterator[tuple[Peer, Peer]]:
    other, swapped = request.param
    builds = (CHECKOUT, other) if swapped else (other, CHECKOUT)
    with ExitStack() as stack:
        one, two = (Peer(build, redis_url, key_prefix) for build in builds)
        stack.callback(one.close)
        stack.callback(two.close)
        yield one, two


def test_there_is_another_build() -> None:
    assert OTHERS


def test_a_build_of_the_checkout_is_complete(
    tmp_path: Path, redis_url: str, key_prefix: str
) -> None:
    build(tmp_path / "now.zip")
    with closing(Peer(tmp_path / "now.zip", redis_url, key_prefix)) as peer:
        assert peer("acquire", NAME, "a") > 0


def test_two_builds_queue_renew_and_hand_over_alike(peers: tuple[Peer, Peer]) -> None:
    one, two = peers
    fence = one("acquire", NAME, "a")
    assert two("acquire", NAME, "b") == "a", "busy, and it is known who holds it"
    assert two("queue", NAME, "b") == "a"
    assert one("queue", NAME, "c") == "a"
    assert two("queue", NAME, "d") == "a"
    assert one("extend", NAME, "a")
    for peer in peers:
        assert peer("inspect", NAME) == [[[NAME, "a", fence, 1, "größe", 3]], ["b", "c", "d"]]
        assert peer("waited_for") == [[NAME, 3]]
    for first, second, old, new in (one, two, "a", "b"), (two, one, "b", "c"), (one, two, "c", "d"):
        before = fence
        assert first("release", NAME, old)
        fence = second("turn", new)
        assert fence > before
        assert second("extend", NAME, new)
        assert not first("release", NAME, old)
    assert [hold[1:3] for hold in one("list")] == [["d", fence]]
    assert two("release", NAME, "d")
    assert one("list") == one("waited_for") == []
    assert two("acquire", NAME, "e") > fence


def test_two_builds_share_semaphores_and_exclude_writers(peers: tuple[Peer, Peer]) -> None:
    one, two = peers
    assert one("acquire", NAME, "a", 2) < two("acquire", NAME, "b", 2)
    assert one("acquire", NAME, "c", 2) in ("a", "b")
    assert two("queue", NAME, "w") in ("a", "b")
    assert one("extend", NAME, "a")
    assert one("release", NAME, "a")
    assert two("release", NAME, "b")
    assert two("turn", "w")
    assert one("acquire", NAME, "c", 2) == "w"


def test_two_builds_handle_releases_by_force_and_late_claims_alike(
    peers: tuple[Peer, Peer],
) -> None:
    one, two = peers
    one("queue", NAME, "a")
    assert two("queue", NAME, "b") == "a"
    assert two("force_release", NAME, "a")
    assert one("wait_for_lost") == "a"
    assert two("turn", "b")
    two("cancel", NAME, "b")
    two("cancel", NAME, "late", 30.0)
    assert one("acquire", NAME, "late") is None, "it was cancelled before it came"
    assert isinstance(one("acquire", NAME, "c"), int)


def test_figures_of_two_builds_add_up(peers: tuple[Peer, Peer]) -> None:
    one, two = peers
    for number, peer in enumerate((one, two, one, two)):
        peer("count", f"batch-{number}", "order:*" if number else "größe", 10**number)
    for peer in peers:
        assert peer("figures") == [{"größe": 1, "order:*": 1110}, 1111]
