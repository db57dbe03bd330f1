"""Tables of the documentation, which have to be complete and correct."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Callable, Iterator

import pytest
from django.core.management import load_command_class
from django.core.management.base import CommandParser
from django.db.models import Model
from django.dispatch import Signal

import django_redislock
from django_redislock import (
    LockableMixin,
    LockedViewMixin,
    LockError,
    lock,
    locked,
    locked_view,
    signals,
)
from django_redislock.backends.redis import RedisLockBackend
from django_redislock.commands import LockedCommand
from django_redislock.conf import LockConfig
from django_redislock.operations.states import EXCLUSIVE
from django_redislock.options import OPTIONS

from .pages import BLOCKS, ROOT

APP = "django_redislock"
OURS = ("listlocks", "clearlocks", "withlock")
CODE = re.compile(r"`([^`]+)`")

# Command lines after `manage.py`, without pipes, and without descriptions of the syntax.
COMMAND_LINES = sorted(
    {
        line.split(" | ")[0]
        for block in BLOCKS
        for line in re.findall(
            rf"^\$ python manage\.py ((?:{'|'.join(OURS)}).+)$", block.code, re.M
        )
        if "[options]" not in line
    }
)


def section(page: str, heading: str = "") -> str:
    """The text of a page, or that below one of its headings, up to the next one."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    if not heading:
        return text
    return re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> Iterator[str]:
    """The code in the first cell of each row."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield from CODE.findall(re.split(r"(?<!\\)\|", line)[1])


def arguments(function: Callable[..., object]) -> set[str]:
    return set(inspect.signature(function).parameters) - {"name"}


def parser_of(command: str) -> CommandParser:
    return load_command_class(APP, command).create_parser("manage.py", command)


def flags(command: str) -> set[str]:
    """The options of a command that are not those of every command."""
    made = parser_of(command)
    common = LockedCommand.__mro__[1]().create_parser("manage.py", command)
    return {*made._option_string_actions} - {*common._option_string_actions}


def flags_in(text: str) -> set[str]:
    return {word for code in first_column(text) for word in code.split() if word.startswith("-")}


def test_the_table_of_the_entries_of_locks_is_complete() -> None:
    entries = {*first_column(section("settings").split("Times are seconds")[0])}
    fields = {name.upper() for name in LockConfig.__dataclass_fields__} - {"ALIAS", "TERMS"}
    assert entries == fields


def test_the_table_of_the_options_of_a_lock_is_complete() -> None:
    assert {*first_column(section("locks", "Options"))} == OPTIONS.keys()
    assert {*first_column(section("functions", "Options"))} == arguments(locked)
    assert {*first_column(section("views", "Options"))} == arguments(locked_view)


def test_the_table_of_the_attributes_of_a_view_is_complete() -> None:
    text = section("views", "Where it goes").split("of `LockedViewMixin` are")[1].split(";")[0]
    ours = {name for name in vars(LockedViewMixin) if name.startswith("lock_")}
    assert {*CODE.findall(text)} == ours


def test_the_table_of_the_attributes_of_a_command_is_complete() -> None:
    ours = {name for name in vars(LockedCommand) if name.endswith("_exit_code")}
    ours |= {"lock_name", "lock_wait", "lock_options", "busy_quiet"}
    assert {*first_column(section("withlock", "LockedCommand"))} == ours


@pytest.mark.parametrize("command", OURS)
def test_the_tables_of_the_flags_of_commands_are_complete(command: str) -> None:
    if command == "withlock":
        text = section("withlock", "withlock")
        assert flags_in(text) - {"-v"} == flags(command)
    else:
        shared = section("commands", "Which locks: the selectors")
        assert flags_in(section("commands", command)) | flags_in(shared) == flags(command)


@pytest.mark.parametrize("command", OURS)
def test_the_help_of_commands_names_values_as_the_pages_do(command: str) -> None:
    known = parser_of(command)._option_string_actions
    text = section("withlock", "withlock") + section("commands", "clearlocks")
    text += section("commands", "Which locks: the selectors")
    described = dict(re.findall(r"(--[a-z-]+) ([A-Z]+)(?:`| \.\.\.`)", text))
    called = {
        flag: known[flag].metavar for flag in described if flag in known and not known[flag].choices
    }
    assert called
    assert called == {flag: described[flag] for flag in called}


def test_the_usage_of_withlock_is_that_of_the_command() -> None:
    (usage,) = re.findall(r"^\$ (python manage\.py withlock NAME .*)$", section("withlock"), re.M)
    assert parser_of("withlock").format_usage() == f"usage: {usage.removeprefix('python ')}\n"


def test_the_table_of_the_attributes_of_a_handle_is_complete() -> None:
    described = {name.split("(")[0] for name in first_column(section("locks").split("## Opt")[0])}
    twins = {"aacquire", "arelease", "aextend", "aowned", "adetach"}
    for_other_rooms = {"backend", "wait"}
    for_django = {"do_not_call_in_templates"}
    public = {name for name in dir(lock("a")) if not name.startswith("_")}
    assert public == described | twins | for_other_rooms | for_django


def test_the_attributes_of_a_lockable_model_are_on_its_page() -> None:
    """A public name that nobody is told of would only keep projects from using it."""
    ours = {name for one in LockableMixin.__mro__[:-1] for name in vars(one).keys() - dir(Model)}
    text = section("models")
    assert [name for name in ours if name[0] != "_" and name not in text] == []


def test_the_table_of_the_signals_is_complete() -> None:
    ours = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert {*first_column(section("locks", "Signals"))} == ours


def test_the_table_of_the_errors_is_complete() -> None:
    public = {getattr(django_redislock, name) for name in django_redislock.__all__}
    ours = {one.__name__ for one in public if isinstance(one, type) and issubclass(one, LockError)}
    assert {*first_column(section("locks", "Errors"))} == ours


def test_the_table_of_the_options_of_the_backend_is_complete() -> None:
    assert {*first_column(section("backends", "Redis"))} == {*RedisLockBackend.option_names()}


def test_the_table_of_the_checks_is_complete() -> None:
    source = "".join(path.read_text() for path in (ROOT / "django_redislock").rglob("*.py"))
    known = set(re.findall(r"locks\.[EW]\d{3}", source))
    assert {*first_column(section("checks"))} == known


def records_of(source: str) -> Iterator[tuple[str, str]]:
    """The level and the text of each message that a module logs."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="logger"), attr=method),
                args=[ast.Constant(value=str(text)), *_],
            ):
                yield {"EXCEPTION": "ERROR"}.get(method.upper(), method.upper()), text


def test_the_table_of_the_log_messages_is_complete() -> None:
    paths = [*(ROOT / APP).rglob("*.py")]
    logged = [record for path in paths for record in records_of(path.read_text())]
    calls = [
        re.findall(r"\blogger\.(?!isEnabledFor|hasHandlers)\w+\(", path.read_text())
        for path in paths
    ]
    assert len(logged) == sum(map(len, calls))  # each has a text of its own
    rows = re.findall(r"^\| `([A-Z]+)` \| `([^`]+)` \|", section("locks", "Log"), re.MULTILINE)
    assert sorted(rows) == sorted(logged)


def test_the_table_of_the_states_is_complete() -> None:
    states = {*first_column(section("three-in-the-morning", "3. What the state says"))}
    assert states == {*EXCLUSIVE, "lost contact", "past MAX_HOLD"}


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_the_command_lines_can_be_parsed(line: str) -> None:
    command, *words = shlex.split(line)
    parser_of(command).parse_args(words)


def test_a_section_ends_where_the_next_one_begins() -> None:
    assert "| `token` |" in section("locks", "Options")
    assert "Names" not in section("locks", "Options")
