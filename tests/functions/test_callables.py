"""Callables for the name, the label and the busy answer are checked when decorating.

Otherwise a callable for busy calls would only fail at the first busy call.
"""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import locked, locked_method, locked_view


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on_busy": lambda: None}, r"on_busy takes other arguments.*\(error, feed_id, source\)"),
        ({"on_busy": lambda error: None}, "on_busy takes other arguments"),
        ({"label": lambda: ""}, r"label takes other.*\(feed_id, source\)"),
        ({"name": lambda: "feed"}, "callable that makes the name takes other arguments"),
    ],
    ids=["nothing", "error", "label", "name"],
)
def test_a_callable_that_cannot_take_its_arguments_is_refused(
    options: dict[str, Any], says: str
) -> None:
    def import_feed(feed_id: int, source: str = "web") -> None: ...

    with pytest.raises(TypeError, match=says):
        locked(**{"name": "feed", **options})(import_feed)


def test_a_callable_of_a_view_that_cannot_take_its_arguments_is_refused() -> None:
    def book(request: Any, event_id: int) -> None: ...

    with pytest.raises(TypeError, match=r"on_busy takes other arguments.*\(request, error\)"):
        locked_view("feed", on_busy=lambda request: None)(book)
    with pytest.raises(TypeError, match=r"the name takes other.*visitor\(request, event_id\)"):

        def visitor(request: Any) -> str:
            return "visitor"

        locked_view(visitor)(book)


async def later(*args: Any) -> str:
    return "later"


@pytest.mark.parametrize("decorator", [locked, locked_view, locked_method])
def test_a_label_that_would_have_to_be_awaited_is_refused(decorator: Any) -> None:
    with pytest.raises(TypeError, match="label is not awaited: write an ordinary function"):
        decorator("feed", label=later)


@pytest.mark.parametrize(
    "on_busy",
    [
        lambda error, *args, **kwargs: None,
        lambda error, feed_id, source: None,
        lambda error, feed_id: None,
        lambda error, **kwargs: None,
        lambda error, *, feed_id, source=None: None,
        print,
        dict,
    ],
    ids=["all", "both", "needed", "names", "keywords", "builtin", "unknown"],
)
def test_a_callable_that_fits_some_of_the_calls_is_accepted(on_busy: Any) -> None:
    def import_feed(feed_id: int, source: str = "web") -> None: ...

    assert locked("feed", on_busy=on_busy)(import_feed)


def test_callables_of_a_function_with_any_arguments_are_accepted() -> None:
    def run(*args: Any, **kwargs: Any) -> None: ...

    assert locked("feed", on_busy=lambda error, feed_id: None)(run)
