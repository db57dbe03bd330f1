from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.management import CommandError, execute_from_command_line
from redis import Redis

from django_redislock import LockLost, LockUnavailable, lock, lock_backends
from tests.commands.command_line import CommandLine
from tests.management.holds import hold, is_held, queue, without_redis
from tests.support.commands import output_of
from tests.support.processes import wait_until

Answer = Callable[[Callable[[str], str]], None]

# The real input(), which tests replace.
ASK = input


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    return lambda function: monkeypatch.setattr("builtins.input", function)


@pytest.fixture(autouse=True)
def _no_question_is_expected(answer: Answer) -> None:
    """Fail at a question, unless the test gives the answer."""
    answer(lambda question: pytest.fail(f"asked: {question}"))


def cleared(**options: Any) -> str:
    return output_of("clearlocks", **{"interactive": False, **options})


def test_all_locks_of_all_backends_are_released() -> None:
    first, second = hold("a", "default"), hold("b", "memory")
    output = cleared(all=True)
    assert not is_held("a", first, "default")
    assert not is_held("b", second, "memory")
    assert output.endswith("2 locks were released.\n")
    assert "a " in output
    assert first not in output


def test_only_matching_names_are_released() -> None:
    chosen, other = hold("order:1"), hold("Order:1")
    assert cleared(name="order:*").endswith("1 lock was released.\n")
    assert not is_held("order:1", chosen)
    assert is_held("Order:1", other)


def test_only_the_given_backend_is_cleared() -> None:
    chosen, other = hold("a", "memory"), hold("a", "default")
    cleared(all=True, using="memory")
    assert not is_held("a", chosen, "memory")
    assert is_held("a", other, "default")


def test_the_command_line_accepts_several_names(capsys: pytest.CaptureFixture[str]) -> None:
    tokens = {name: hold(name) for name in ("a1", "b1", "c1", "d1")}
    arguments = ["--name", "a*", "b*", "--name", "c1", "--backend", "memory", "--noinput"]
    execute_from_command_line(["manage.py", "clearlocks", *arguments])
    assert [name for name, token in tokens.items() if is_held(name, token)] == ["d1"]
    assert "3 locks were released." in capsys.readouterr().out


def test_a_dry_run_shows_and_releases_nothing() -> None:
    token = hold("order:1")
    output = cleared(all=True, dry_run=True, interactive=True)
    assert "order:1" in output
    assert output.endswith("1 lock would be released.\n")
    assert is_held("order:1", token)


@pytest.mark.parametrize("options", [{}, {"all": True, "name": "a"}])
def test_a_selection_is_required(options: dict[str, Any]) -> None:
    token = hold("a")
    with pytest.raises(CommandError, match="either --all, or some of --name"):
        cleared(**options)
    assert is_held("a", token)


def test_a_hold_acquired_during_the_question_survives(answer: Answer) -> None:
    seen = hold("a")
    taken = []

    def meanwhile(question: str) -> str:
        lock_backends["memory"].release("a", seen)
        taken.extend([hold("a"), hold("b")])
        return "yes"

    answer(meanwhile)
    output = cleared(all=True, interactive=True)
    assert is_held("a", taken[0])
    assert is_held("b", taken[1])
    assert output.endswith("0 locks were released.\n1 had already ended by itself.\n")


@pytest.mark.parametrize("using", ["default", "memory"])
def test_the_first_waiter_becomes_the_holder(using: str) -> None:
    hold("a", using)
    waiter = lock("a", using=using)
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(waiter.acquire, 30)
        wait_until(lambda: lock_backends[using].inspect("a")[1])
        cleared(all=True)
        assert attempt.result(30)
    waiter.release()


@pytest.mark.parametrize("using", ["default", "memory"])
def test_the_holder_is_notified_no_later_than_by_its_renewal(using: str) -> None:
    held = lock("a", using=using, lease=3)
    held.acquire()
    cleared(all=True)
    try:
        wait_until(lambda: held.lost, within=20, what="the holder is notified")
    finally:
        with pytest.raises(LockLost):
            held.release()


def test_the_question_is_about_the_locks_shown(answer: Answer) -> None:
    tokens = [hold("a"), hold("b")]
    questions = []
    answer(lambda question: questions.append(question) or "yes")  # type: ignore[func-returns-value]
    output = cleared(all=True, interactive=True, verbosity=0)
    assert questions == [
        "Release these 2 locks by force? Their holders may still be at work. Type yes to release: "
    ]
    assert "web-1" in output
    assert not is_held("a", tokens[0])


def refuse(question: str) -> str:
    return "no"


def say_y(question: str) -> str:
    return "y"


def hang_up(question: str) -> str:
    raise EOFError


def interrupt(question: str) -> str:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (refuse, "No lock was released"),
        (say_y, "No lock was released"),
        (hang_up, "--no-input"),
    ],
)
def test_nothing_is_released_without_a_yes(
    how: Callable[[str], str], message: str, answer: Answer
) -> None:
    token = hold("a")
    answer(how)
    with pytest.raises(CommandError, match=message) as caught:
        cleared(all=True, interactive=True)
    assert caught.value.returncode == 1
    assert is_held("a", token)


def test_without_a_terminal_the_error_is_on_a_separate_line(key_prefix: str) -> None:
    manage = CommandLine(key_prefix)
    hold("a", "default")
    done = subprocess.run(
        manage.arguments("clearlocks", "--all"),
        env=manage.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.stdout.splitlines()[-2:] == [
        "Release this lock by force? Its holder may still be at work. Type yes to release: ",
        "CommandError: No answer can be read; use --no-input to release without asking.",
    ]


@pytest.mark.parametrize("given", [None, b"\xff\n"], ids=["closed", "no text"])
def test_nothing_is_released_if_the_standard_input_cannot_be_read(
    given: bytes | None, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = hold("a")
    answer(ASK)
    # Python has None after `<&-`.
    stdin = None if given is None else io.TextIOWrapper(io.BytesIO(given), "utf-8")
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(CommandError, match="No answer can be read"):
        cleared(all=True, interactive=True)
    assert is_held("a", token)


def test_ctrl_c_releases_nothing_and_has_its_own_exit_code(answer: Answer) -> None:
    token = hold("a")
    answer(interrupt)
    with pytest.raises(CommandError, match="No lock was released") as caught:
        cleared(all=True, interactive=True)
    assert caught.value.returncode == 130
    assert is_held("a", token)


@pytest.mark.parametrize("using", ["default", "memory"])
@pytest.mark.parametrize("waited", [False, True])
def test_the_remaining_lease_is_shown(using: str, waited: bool) -> None:
    hold("a", using, lease=110)
    if waited:
        queue("a", using)
    assert re.search(r"\na +1 min \d+ s ", cleared(all=True, dry_run=True))


def test_nothing_to_clear_is_no_error() -> None:
    message = "No live lock matches; there is nothing to release.\n"
    assert cleared(all=True, interactive=True) == message


def test_the_command_can_be_silent() -> None:
    token = hold("a")
    assert cleared(all=True, verbosity=0) == ""
    assert not is_held("a", token)


def test_nothing_is_released_unless_all_backends_answer(settings: Any) -> None:
    without_redis(settings, "down")
    token = hold("a")
    with pytest.raises(CommandError, match=r"LOCKS\['down'\], .*refused.*\nNo lock was released"):
        cleared(all=True)
    assert is_held("a", token)
    cleared(all=True, using="memory")
    assert not is_held("a", token)


def test_a_backend_that_goes_down_during_the_release_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = {name: hold(name, lease=lease) for name, lease in (("a", 100), ("b", 200), ("c", 300))}
    original = lock_backends["memory"].force_release

    def release(name: str, token: str) -> bool:
        if name != "a":
            raise LockUnavailable("gone", name=name)
        return original(name, token)

    monkeypatch.setattr(lock_backends["memory"], "force_release", release)
    with pytest.raises(CommandError, match="gone\n1 lock was released. 2 of 3 locks may"):
        cleared(all=True)
    assert [name for name, token in tokens.items() if is_held(name, token)] == ["b", "c"]


def test_only_locks_of_our_own_prefix_are_touched(redis_url: str, key_prefix: str) -> None:
    hold("a", "default")
    theirs = f"not-{key_prefix}:{{18}}:holds:a"
    with Redis.from_url(redis_url) as client:
        client.set(f"{key_prefix}:cached", 1, ex=60)
        client.zadd(theirs, {"token": 1})
        client.expire(theirs, 60)
        cleared(all=True)
        assert client.exists(f"{key_prefix}:cached", theirs) == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--all", "--using", "absent"], 2), ([], 2), (["--al", "--nonsense"], 2)],
)
def test_wrong_arguments_have_their_own_exit_code(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        execute_from_command_line(["manage.py", "clearlocks", *arguments])
    assert caught.value.code == code
    assert capsys.readouterr().err
