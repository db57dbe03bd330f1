"""How long a locked command waits."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError
from django.utils.translation import override

from django_redislock.commands import LockedCommand
from django_redislock.testing import held_elsewhere
from tests.support.commands import output_of

pytestmark = pytest.mark.usefixtures("locks")


class Report(LockedCommand):
    requires_system_checks: list[str] = []
    lock_name = "report"

    def handle(self, **options: Any) -> str:
        return "worked"


def run(command: LockedCommand | None = None, **options: Any) -> str:
    return output_of(command or Report(), **options)


def test_the_command_waits_as_long_as_requested() -> None:
    with held_elsewhere("report"):
        with pytest.raises(CommandError, match=r"did not wait\. Write --lock-wait 30 to wait"):
            run()
        with pytest.raises(CommandError, match=r"(?<!--lock-wait 30 to wait for it\.)$"):
            run(lock_wait=0.01)
        # Errors are in English, so their advice is, too.
        with override("de"), pytest.raises(CommandError, match="Write --lock-wait 30 to wait"):
            run()
    with held_elsewhere("report", lease=0.3):
        assert "worked" in run(lock_wait="1m")
    with pytest.raises(CommandError, match="--lock-wait must be 0 or more seconds"):
        run(lock_wait=-1)
    with pytest.raises(CommandError, match="--lock-wait: 'soon' is not a time"):
        run(lock_wait="soon")


def test_the_help_for_the_wait_is_that_of_withlock() -> None:
    text = " ".join(Report().create_parser("manage.py", "report").format_help().split())
    assert "--lock-wait S how long to wait for the lock; inf: for ever. Default: 0" in text


def test_the_class_can_set_the_wait() -> None:
    class Patient(Report):
        lock_wait = 40

    with held_elsewhere("report", lease=0.3):
        assert "worked" in run(Patient())
    with held_elsewhere("report"), pytest.raises(CommandError, match="did not wait"):
        run(Patient(), lock_wait=0)


def test_the_wait_may_be_that_of_the_alias(locks: Any) -> None:
    class Patient(Report):
        lock_wait = None

    locks.override(WAIT=0.01)
    with held_elsewhere("report"), pytest.raises(CommandError, match=r"wait of 0\.01 s\.$"):
        run(Patient())
    text = Patient().create_parser("manage.py", "report").format_help()
    assert "Default: WAIT of the alias" in " ".join(text.split())
