"""Calls of the commands from code, for which Django neither parses nor checks the options."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.management.holds import hold
from tests.support.commands import output_of


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"older_than": "soon"}, "is not a time"),
        ({"older_than": -5}, "--older-than must be 0 or more seconds"),
        ({"older_than": []}, "--older-than must be a number of seconds or a timedelta"),
        ({"max": -1}, "is not a whole number"),
        ({"watch": "often"}, "is not a time"),
        ({"format": "yaml"}, "--format: 'yaml' is not one of table, json, jsonl, csv"),
        ({"state": "lost"}, "--state: 'lost' is not one of held, renewing, overdue"),
        ({"state": ["held"]}, "--state: .* is not a string"),
        ({"holder": 7}, "--holder: 7 is not a string"),
        ({"name": [42]}, "42 is not a string"),
    ],
)
def test_what_makes_no_sense_in_a_call_is_refused_too(options: Any, error: str) -> None:
    with pytest.raises(CommandError, match=error) as caught:
        call_command("listlocks", **options)
    assert caught.value.returncode == 2


@pytest.mark.parametrize("names", ["a", ["a"], ("a",), None])
def test_a_call_may_pass_names_by_keyword(names: Any) -> None:
    hold("a")
    hold("b")
    wanted = 2 if names is None else 1
    for option in ("names", "name"):
        lines = output_of("listlocks", format="jsonl", **{option: names}).splitlines()
        assert len(lines) == wanted
