"""Interrupted clearlocks: it reports the releases, and leaves nothing half done."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from benchmarks.crowd import fill
from django_redislock import lock, lock_backends
from django_redislock.backends.redis.backend import BATCH
from django_redislock.management.terminal import TerminalCommand
from tests.support.processes import wait_until

CROWD = 20_000

RUN = (
    "import django, sys; from django.conf import settings;"
    "settings.CACHES['default']['LOCATION'] = sys.argv[1];"
    "settings.LOCKS['default']['KEY_PREFIX'] = sys.argv[2]; django.setup();"
    "from django.core.management import execute_from_command_line as run;"
    "run(['manage.py', 'clearlocks', '--using', 'default', '--all', '--noinput'])"
)


def clear(redis_url: str, key_prefix: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, redis_url, key_prefix],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(
    redis_url: str, key_prefix: str, number: int = signal.SIGINT
) -> tuple[int, str, str]:
    """Clear many locks, and interrupt the command in the middle."""
    with Redis.from_url(redis_url) as client:
        fill(client, key_prefix, range(CROWD))
    with clear(redis_url, key_prefix) as process:
        wait_until(lambda: lock_backends["default"].entries(0, 0).total < CROWD - 2 * BATCH)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


@pytest.mark.timeout(240)
def test_ctrl_c_reports_how_many_were_released(redis_url: str, key_prefix: str) -> None:
    backend = lock_backends["default"]
    for _ in range(5):
        code, output, errors = interrupted(redis_url, key_prefix)
        if code != 0:  # 0 if this process was suspended until all was done
            break
    assert code == 130
    assert "Traceback" not in errors
    found = re.search(r"(\d+) locks were released. (\d+) of (\d+) locks may still", errors)
    assert found, output + errors
    released, left, total = map(int, found.groups())
    assert released + left == total == CROWD
    assert released > 0
    # Releases under way count as locks that may still be held.
    assert left - BATCH <= backend.entries(0, 0).total <= left
    assert f"clearlocks released {released} of {CROWD} lock(s) by force (--all" in errors
    with clear(redis_url, key_prefix) as process:
        process.communicate(timeout=50)
    assert process.returncode == 0
    assert backend.entries(0, 0).total == 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_released_locks_are_logged_whichever_signal_ends_the_command(
    redis_url: str, key_prefix: str, number: signal.Signals
) -> None:
    """As by the end of an SSH connection, or of the time limit of a job."""
    for _ in range(5):
        code, _output, errors = interrupted(redis_url, key_prefix, number)
        if code != 0:  # 0 if this process was suspended until all was done
            break
    assert code == 128 + number
    assert "Traceback" not in errors
    assert re.search(rf"clearlocks released \d+ of {CROWD} lock\(s\) by force \(--all", errors)
    assert f"of {CROWD} locks may still be held" in errors


def test_a_second_ctrl_c_ends_the_exit_without_a_stack() -> None:
    """The exit may wait for a server that hangs, and Python reports an interrupt of that."""

    class Interrupted(TerminalCommand):
        def handle(self, **options: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        Interrupted().run_from_argv(["manage.py", "interrupted"])
    assert ended.value.code == 130
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_a_waiter_in_a_crowd_is_woken(redis_url: str, key_prefix: str) -> None:
    with Redis.from_url(redis_url) as client:
        fill(client, key_prefix, range(BATCH + 10))
    waiters = [lock(f"order:{number}") for number in (0, BATCH // 2, BATCH + 9)]
    with ThreadPoolExecutor(len(waiters)) as pool:
        attempts = [pool.submit(waiter.acquire, 30) for waiter in waiters]
        for waiter in waiters:
            wait_until(lambda waiter=waiter: lock_backends["default"].inspect(waiter.name)[1])  # type: ignore[misc]
        with clear(redis_url, key_prefix) as process:
            process.communicate(timeout=50)
        assert all(attempt.result(30) for attempt in attempts)
    for waiter in waiters:
        waiter.release()
