"""Names from templates and arguments."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy
from hypothesis import given, strategies as st

from django_redislock.names import CallNames, NameTemplate, UnusableName


def name(template: str, **values: Any) -> str:
    return NameTemplate(template).fill(values)


def pickled(error: Exception) -> Any:
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - our own


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_the_error_for_a_name_survives_copies_and_pickling(again: Callable[[Any], Any]) -> None:
    """Otherwise the result of a worker of ``multiprocessing`` would never arrive."""
    with pytest.raises(UnusableName) as caught:
        name("feed:{feed.pk}", feed=None)
    error = again(caught.value)
    assert (type(error), str(error)) == (UnusableName, str(caught.value))
    assert error.field == "feed.pk"


def call_names(source: Any, function: Callable[..., Any]) -> CallNames:
    return CallNames(source, inspect.signature(function), "shop.tasks.import_feed")


def import_feed(feed_id: Any, source: str = "web", *, again: bool = False) -> None: ...


def anything(first: Any, *rest: Any, **named: Any) -> None: ...


class Size(Enum):
    SMALL = "s"


class Rank(IntEnum):
    FIRST = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        ("seven", "seven"),
        ("", ""),
        (True, "True"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.5"),
        (Decimal("5.00"), "5"),
        (Decimal("100"), "100"),
        (Decimal("1E+2"), "100"),
        (Decimal("0.00"), "0"),
        (Decimal("-0.0"), "0"),
        (Decimal("-2.50"), "-2.5"),
        (Decimal("1.0000000000000000000000000000000001"), "1.0000000000000000000000000000000001"),
        (Decimal("1E+9999999"), "1E+9999999"),
        (Decimal("NaN"), "NaN"),
        (SimpleLazyObject(lambda: Decimal("1.50")), "1.5"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 11, 23), "2026-11-23"),
        (datetime(2026, 11, 23, 7, 5, tzinfo=timezone.utc), "2026-11-23 07%3A05%3A00+00%3A00"),
        (timedelta(minutes=1), "0%3A01%3A00"),
        (Size.SMALL, "s"),
        (Rank.FIRST, "1"),
        (SimpleLazyObject(lambda: "late"), "late"),
        ("ñandú", "ñandú"),
        ("a.b-c_d@e/f g", "a.b-c_d@e/f g"),
        ("a:b", "a%3Ab"),
        ("100%", "100%25"),
        ("{a}", "%7Ba%7D"),
        ("line\nfeed\x00", "line%0Afeed%00"),
        ("\u2028", "%E2%80%A8"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_values_are_readable_and_encoded_in_a_name(value: Any, text: str) -> None:
    assert name("feed:{x}", x=value) == f"feed:{text}"


def test_one_moment_has_one_name_in_all_time_zones() -> None:
    noon = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
    in_berlin = noon.astimezone(timezone(timedelta(hours=1)))
    assert name("day:{a}", a=in_berlin) == name("day:{a}", a=noon)
    last = datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))
    assert name("day:{a}", a=last) == "day:9999-12-31 23%3A59%3A59.999999-05%3A00"


def test_a_format_or_conversion_decides_how_a_number_or_moment_is_written() -> None:
    assert name("price:{a!s}", a=Decimal("1.50")) == "price:1.50"
    assert name("price:{a:.3f}", a=Decimal("1.50")) == "price:1.500"
    in_berlin = datetime(2026, 11, 23, 12, tzinfo=timezone(timedelta(hours=1)))
    assert name("day:{a:%H}", a=in_berlin) == "day:12"
    assert name("day:{a}", a="1.50") == "day:1.50"


def test_a_field_looks_into_an_argument() -> None:
    order = SimpleNamespace(pk=4, lines=["a", "b"], meta={"eu": SimpleNamespace(vat=19)})
    assert name("{order.pk}:{order.lines[1]}:{order.meta[eu].vat}", order=order) == "4:b:19"


def test_a_format_and_a_conversion_are_applied_before_the_value_is_encoded() -> None:
    assert name("{day:%Y-%m}", day=date(2026, 11, 23)) == "2026-11"
    assert name("{moment:%H:%M}", moment=datetime(2026, 1, 1, 7, 5)) == "07%3A05"  # noqa: DTZ001
    assert name("{text!r}", text="a:b") == "'a%3Ab'"


def test_braces_may_be_part_of_a_name() -> None:
    assert name("{{{x}}}", x=1) == "{1}"


def test_separators_of_the_template_are_encoded_in_values() -> None:
    assert name("{a}-{b}", a="x-y", b="z") == "x%2Dy-z"
    assert name("{a}-{b}", a="x", b="y-z") == "x-y%2Dz"
    assert name("report-{a}", a="2026-11") == "report-2026-11"  # nothing here is similar to it


TEMPLATES = ["{a}:{b}", "{a}-{b}", "x{a}to-{b}y", "{a}{{{b}", "{a}%_{b}", "{a} . {b}"]
TEXTS = st.text(alphabet="ab:-%_{}. to2D\u00e9\ud800\n", max_size=6)


@given(st.sampled_from(TEMPLATES), TEXTS, TEXTS, TEXTS, TEXTS)
def test_two_calls_share_a_name_only_with_the_same_values(
    template: str, a: str, b: str, other_a: str, other_b: str
) -> None:
    same = name(template, a=a, b=b) == name(template, a=other_a, b=other_b)
    assert same == ((a, b) == (other_a, other_b))


@pytest.mark.parametrize("template", ["{a}{b}", "{a}to{b}", "{a}%{b}", "{a}2{b}:{c}"])
def test_two_fields_need_a_separator(template: str) -> None:
    with pytest.raises(ValueError, match=r"nothing to show where {a} ends and {b} begins"):
        NameTemplate(template)


@pytest.mark.parametrize("template", ["feed:{}", "feed:{0}", "feed:{0.pk}", "feed:{ feed_id }"])
def test_a_field_names_an_argument(template: str) -> None:
    with pytest.raises(ValueError, match=r"names no argument: write {argument}"):
        NameTemplate(template)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("feed:{feed", "is not a template: expected '}' before end of string"),
        ("feed:}", "is not a template: Single '}' encountered"),
        ("{a:{b}}", "has a field within a field"),
        ("{a!x}", "has the unknown conversion !x"),
        ("{a.}", r"has the field {a.}, which does not say what to look up: write {argument"),
        ("{a..b}", "does not say what to look up"),
        ("{a[]}", "does not say what to look up"),
        ("{a[0]b}", "does not say what to look up"),
    ],
)
def test_an_invalid_template_is_refused(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NameTemplate(template)


class Plain:
    def __str__(self) -> str:
        return "plain"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, r"{x} is None, which would be one lock for all without one\."),
        (User(pk=1), r"{x} is of the type User: write {x.pk}\."),
        (AnonymousUser(), r"{x} is of the type AnonymousUser: write {x.pk}\."),
        (SimpleLazyObject(lambda: User(pk=1)), r"write {x.pk}\."),
        (Plain(), r"type Plain: write one of its attributes, or {x!s} if no two"),
        ([1, 2], "of the type list"),
        ({1, 2}, "of the type set"),
        ("seven".upper, "of the type builtin_function_or_method"),
        (gettext_lazy("yes"), "of the type __proxy__"),
    ],
)
def test_a_value_that_does_not_identify_an_object_is_refused(value: Any, why: str) -> None:
    with pytest.raises(UnusableName, match=rf"^The lock name 'feed:{{x}}' cannot be made: .*{why}"):
        name("feed:{x}", x=value)


def test_a_conversion_accepts_any_value_but_none() -> None:
    assert name("{x!s}", x=Plain()) == "plain"
    with pytest.raises(UnusableName, match="is None"):
        name("{x!s}", x=None)
    with pytest.raises(UnusableName, match=r"{x} cannot be formatted: Invalid format specifier"):
        name("{x:%Y}", x="2026")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{x.pkk}", "'User' object has no attribute 'pkk'"),
        ("{y[b]}", "no item 'b'"),
        ("{y[a].b}", "'int' object has no attribute 'b'"),
        ("{z}", "is missing; available: x, y"),
    ],
)
def test_the_error_for_a_failed_lookup_names_the_field(template: str, why: str) -> None:
    with pytest.raises(UnusableName) as caught:
        name(template, x=User(), y={"a": 1})
    assert str(caught.value).startswith(f"The lock name '{template}' cannot be made: {template} ")
    assert why in str(caught.value)
    assert caught.value.field == template.strip("{}")
    assert isinstance(caught.value.__cause__, (AttributeError, LookupError))


@pytest.mark.parametrize("args", [((7,), {}), ((), {"feed_id": 7})])
def test_arguments_are_found_by_name_however_they_are_passed_and_by_default(args: Any) -> None:
    names = call_names("{feed_id}:{source}:{again}", import_feed)
    assert names.of(*args) == "7:web:False"
    assert names.of((8, "mail"), {"again": True}) == "8:mail:True"


def test_extra_arguments_can_be_in_a_name() -> None:
    names = call_names("{first}:{rest[1]}:{colour}", anything)
    assert names.of((1, 2, 3), {"colour": "red"}) == "1:3:red"


def test_an_extra_argument_does_not_take_the_name_of_another_one() -> None:
    def by_place(feed_id: Any, /, **named: Any) -> None: ...

    assert call_names("{feed_id}", by_place).of((1,), {"feed_id": 2}) == "1"


def test_a_list_of_templates_makes_several_names() -> None:
    names = call_names(["a:{feed_id}", "b:{source}"], import_feed)
    assert names.of((1,), {}) == ["a:1", "b:web"]
    assert call_names(["all"], import_feed).of((1,), {}) == ["all"]


def test_a_callable_for_the_name_gets_the_same_arguments() -> None:
    names = call_names(lambda feed_id, again: f"{feed_id}/{again}", import_feed)
    assert names.of((7,), {"again": True}) == "7/True"


def test_a_field_that_no_argument_has_is_refused_before_any_call() -> None:
    with pytest.raises(ValueError, match=r"mentions {feed}, which is not an argument") as caught:
        call_names(["all", "feed:{feed.pk}"], import_feed)
    assert "shop.tasks.import_feed(feed_id" in str(caught.value)
    call_names("feed:{feed.pk}", anything)  # may get any


@pytest.mark.parametrize("source", [None, 7, b"feed", [], {"a"}, {"a": 1}])
def test_an_invalid_source_of_names_is_refused(source: Any) -> None:
    with pytest.raises(TypeError, match=r"a template, a list of templates, or a callable"):
        call_names(source, import_feed)


@pytest.mark.parametrize(
    ("source", "error"), [("", ValueError), ([""], ValueError), ([7], TypeError)]
)
def test_a_name_is_a_text_that_is_not_empty(source: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="lock's name must"):
        call_names(source, import_feed)


def test_the_error_for_wrong_arguments_names_the_function() -> None:
    names = call_names("feed:{feed_id}", import_feed)
    with pytest.raises(TypeError, match=r"^shop\.tasks\.import_feed\(\): missing a required argum"):
        names.of((), {})
