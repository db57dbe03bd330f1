from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser, LabelCommand

from django_redislock import LockLost, LockNotAcquired, lock
from django_redislock.commands import LockedCommand
from django_redislock.testing import assert_locked, assert_not_locked, expire, held_elsewhere, lose
from tests.docs.pages import BLOCKS, name_of
from tests.management.holds import without_redis
from tests.support.commands import output_of
from tests.support.left_behind import left_behind

pytestmark = pytest.mark.usefixtures("_in_memory")


@pytest.fixture
def _in_memory(settings: Any) -> None:
    settings.LOCKS = {"default": settings.LOCKS["memory"], "other": settings.LOCKS["memory"]}


class Import(LockedCommand):
    requires_system_checks: list[str] = []
    lock_name: Any = "import:{feed}"
    work: Callable[[Import], object] = staticmethod(lambda command: None)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--feed")

    def handle(self, **options: Any) -> str:
        self.seen = options
        return f"worked: {self.work(self)}"


class Named(Import):
    lock_name = ""


def run(command: LockedCommand | None = None, **options: Any) -> str:
    return output_of(command or Import(), **{"feed": "7", **options})


def at_work(work: Callable[[Import], object], cls: type[Import] = Import) -> Import:
    command = cls()
    command.work = work  # type: ignore[method-assign]
    return command


def test_the_lock_is_held_while_the_command_runs() -> None:
    (hold,) = at_work_holds(Import, "import:7")
    assert hold.holder.what == "manage.py test_locked_command"
    assert_not_locked("import:7")


def at_work_holds(cls: type[Import], name: str, **options: Any) -> Any:
    holds: list[Any] = []
    run(at_work(lambda _: holds.extend(assert_locked(name)), cls), **options)
    return holds


def test_without_a_name_the_lock_has_the_name_of_the_command() -> None:
    assert len(at_work_holds(Named, "test_locked_command")) == 1


def test_a_name_that_becomes_too_long_is_a_command_error() -> None:
    command = Import()
    with pytest.raises(CommandError, match=r"'import:\{feed\}' must be at most 1,024 bytes"):
        run(command, feed="x" * 1020)
    assert not hasattr(command, "seen")


def test_a_name_that_becomes_empty_is_a_command_error() -> None:
    class Alone(Import):
        lock_name = "{feed}"

    with pytest.raises(CommandError, match=r"'\{feed\}' must not be empty"):
        run(Alone(), feed="")


def test_values_in_a_name_are_encoded() -> None:
    assert len(at_work_holds(Import, "import:a%3Ab", feed="a:b")) == 1


def test_several_names_are_held_together() -> None:
    class Both(Import):
        lock_name = ["import:{feed}", "import"]

    assert len(at_work_holds(Both, "import:7")) == 1
    with held_elsewhere("import"), pytest.raises(CommandError, match="'import' is busy"):
        run(Both())


def test_a_method_that_returns_no_name_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Import, "get_lock_name", lambda self, options: None)
    with pytest.raises(TypeError, match=r"get_lock_name\(\) returns a name or a list of them"):
        run()


def test_a_missing_option_in_the_name_is_a_command_error() -> None:
    with pytest.raises(CommandError, match=r"\{feed\} is None"):
        run(feed=None)


def test_the_error_for_an_unknown_option_in_the_name_lists_the_options() -> None:
    class Typo(Import):
        lock_name = "import:{fed}"

    with pytest.raises(CommandError, match=r"\{fed\} is missing; available: .*feed, .*verbosity"):
        run(Typo())


def test_a_busy_lock_is_an_error_that_names_the_holder() -> None:
    command = Import()
    with held_elsewhere("import:7", what="manage.py import", lease=40):
        with pytest.raises(CommandError, match=r"held by manage\.py import") as caught:
            run(command)
    assert caught.value.returncode == 75
    assert isinstance(caught.value.__cause__, LockNotAcquired)
    assert 30 < caught.value.__cause__.retry_after <= 48
    assert not hasattr(command, "seen")


def test_a_busy_lock_can_count_as_success() -> None:
    class Lenient(Import):
        busy_exit_code = 0

    command = Lenient()
    with held_elsewhere("import:7"):
        assert "'import:7' is busy" in run(command)
        assert run(command, verbosity=0) == ""
        Lenient.busy_quiet = True
        assert run(command) == ""
    assert not hasattr(command, "seen")


def test_the_lock_can_be_left_out() -> None:
    command = at_work(lambda command: (command.held, command.check_lock()))
    with held_elsewhere("import:7"):
        assert run(command, no_lock=True) == "worked: (None, None)\n"


def test_the_command_does_not_see_the_options_of_the_lock() -> None:
    command = Import()
    run(command, lock_wait=1)
    assert command.seen["feed"] == "7"
    assert {"no_lock", "lock_wait"} & set(command.seen) == set()


def test_the_class_can_set_options_of_the_lock() -> None:
    class Options(Import):
        lock_options = {"lease": 77, "shared": True, "label": "nightly"}

    (hold,) = at_work_holds(Options, "import:7")
    assert (hold.lease, hold.shared, hold.holder.label) == (77, True, "nightly")


def test_a_min_hold_outlives_the_command() -> None:
    class Cron(Import):
        lock_options = {"min_hold": 50}

    run(Cron())
    (hold,) = assert_locked("import:7")
    assert 40 < hold.remaining <= 50
    with pytest.raises(CommandError, match="busy"):
        run(Cron())


def test_a_lost_lock_does_not_hide_the_output_of_the_command() -> None:
    stream = io.StringIO()
    command = at_work(lambda _: lose("import:7"))
    with pytest.raises(CommandError, match="was lost: it was released by force") as caught:
        call_command(command, feed="7", stdout=stream)
    assert caught.value.returncode == 70
    assert stream.getvalue() == "worked: None\n"


def test_a_lost_lock_does_not_hide_the_error_of_the_command() -> None:
    def fail(_: Import) -> None:
        expire("import:7")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(at_work(fail))


def test_the_command_can_ask_whether_it_holds_the_lock() -> None:
    asked: list[str] = []

    def work(command: Import) -> None:
        command.check_lock()
        asked.append("held")
        expire("import:7")
        command.check_lock()
        asked.append("not reached")

    with pytest.raises(CommandError, match="its lease ran out") as caught:
        run(at_work(work))
    assert asked == ["held"]
    assert caught.value.returncode == 70


def test_errors_of_other_locks_are_not_converted() -> None:
    def busy(_: Import) -> None:
        with held_elsewhere("another"), lock("another", wait=0):
            pass

    def lost(_: Import) -> None:
        with lock("another"):
            lose("another")

    with pytest.raises(LockNotAcquired):
        run(at_work(busy))
    with pytest.raises(LockLost):
        run(at_work(lost))


def test_a_server_that_does_not_answer_is_a_command_error(settings: Any) -> None:
    class Elsewhere(Import):
        lock_options = {"using": "nowhere"}

    without_redis(settings, "nowhere")
    command = Elsewhere()
    with pytest.raises(CommandError, match="is unavailable") as caught:
        run(command)
    assert caught.value.returncode == 69
    assert not hasattr(command, "seen")


def test_the_mixin_goes_before_other_base_classes() -> None:
    class ByLabel(LockedCommand, LabelCommand):
        requires_system_checks: list[str] = []
        lock_name = "labels"

        def handle_label(self, label: str, **options: Any) -> str:
            assert_locked("labels")
            return label

    assert output_of(ByLabel(), "a", "b") == "a\nb\n"


def test_the_example_of_the_documentation_runs() -> None:
    code, _ = (
        block.code
        for block in BLOCKS
        if name_of(block.page) == "docs/withlock.md" and block.language == "python"
    )
    holders: list[str] = []

    def pages(feed: int) -> list[str]:
        holders.extend(hold.holder.what for hold in assert_locked(f"import:{feed}"))
        return ["page 1", "page 2"]

    namespace: dict[str, Any] = {"__name__": "shop.management.commands.import_feed", "pages": pages}
    exec(code, namespace)  # noqa: S102 - the code is our own documentation
    assert output_of(namespace["Command"](), 7, skip_checks=True) == "page 1\npage 2\n"
    assert holders == ["manage.py import_feed"]


class Interrupted(Import):
    lock_options = {"lease": 60}


# Some places are in the __del__() of a handle, whose exceptions Python only reports.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nothing_is_held_after_an_interruption() -> None:
    left = left_behind(lambda number: run(Interrupted(), feed=str(number)), "import")
    # At its beginning, no code of ours runs yet.
    assert set(left) <= {"__exit__"}
