"""Families, under which names are counted."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from django_redislock import LockedCommand, lock
from django_redislock.figures.families import LONGEST_FAMILY, family_of
from django_redislock.names import NameTemplate
from tests.rows.bank.models import Account


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("order:42", "order:*"),
        ("report", "report"),
        ("report:2026-11", "report:*-*"),
        ("user_7_mail", "user_*_mail"),
        ("v2:order:42", "v2:order:*"),
        ("42", "*"),
        ("feed:7c9e6679-7425-40de-944b-e07fc1f90ae7", "feed:*"),
        ("feed:7C9E6679-7425-40DE-944B-E07FC1F90AE7/lock", "feed:*/lock"),
        ("feed:7c9e6679742540de944be07fc1f90ae7", "feed:*"),
        ("blob:da39a3ee5e6b4b0d3255bfef95601890afd80709", "blob:*"),
        ("cafe:decade:effaced", "cafe:decade:effaced"),
        ("größe:42", "größe:*"),
        ("注文42:1", "注文42:*"),
        ("x" * LONGEST_FAMILY, "x" * LONGEST_FAMILY),
        ("x" * (LONGEST_FAMILY + 1), "x" * (LONGEST_FAMILY - 1) + "…"),
    ],
)
def test_the_family_of_a_plain_name_is_the_name_without_its_individual_parts(
    name: str, family: Any
) -> None:
    assert family_of(name) == family
    assert lock(name, using="memory").family == family


def test_the_family_of_a_name_from_a_template_is_the_template() -> None:
    template = NameTemplate("feed:{slug}")
    names = [template.fill({"slug": slug}) for slug in ("a", "b 7")]
    assert names == ["feed:a", "feed:b 7"]
    assert {family_of(name) for name in names} == {"feed:{slug}"}


def test_a_name_from_a_template_behaves_like_any_string() -> None:
    name = NameTemplate("feed:{number}").fill({"number": 7})
    assert pickle.loads(pickle.dumps(name)) == "feed:7"  # noqa: S301 - pickled here
    assert {name: 1}["feed:7"] == 1
    assert repr(lock(name, using="memory")) == "<Lock 'feed:7' not held>"


def test_each_of_several_names_has_its_own_family() -> None:
    first = NameTemplate("from:{number}").fill({"number": 7})
    held = lock([first, "to:9"], using="memory")
    assert [one.family for one in held.locks] == ["from:{number}", "to:*"]


def test_the_row_of_a_model_has_the_family_of_its_model() -> None:
    assert family_of(Account(pk=7).get_lock_name()) == "bank.account:{id}"


def test_a_command_has_the_family_of_its_template() -> None:
    class Command(LockedCommand):
        lock_name = "import:{feed}"

    assert family_of(Command().get_lock_name({"feed": "news"})) == "import:{feed}"
