"""Callables for the name, the label and the busy answer of a view."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse

from django_redislock import lock, locked_view

from .requests import content, request


def view(request: Any) -> HttpResponse:
    return HttpResponse(f"label: {request.lock.holder.label!r}")


async def later(*args: Any) -> str:
    return "later"


def test_a_callable_may_have_no_label_for_a_request() -> None:
    answer = locked_view("event", using="memory", label=lambda request: None)(view)(request())
    assert content(answer) == "label: ''"


@pytest.mark.parametrize("options", [{"name": later}, {"on_busy": later}], ids=["name", "on_busy"])
def test_a_plain_view_has_no_coroutine_functions_around_it(options: Any) -> None:
    decorate = locked_view(**{"name": "event", **options})
    with pytest.raises(TypeError, match="is not a coroutine function: its name and on_busy cannot"):
        decorate(view)


def test_nor_functions_that_return_coroutines() -> None:
    with pytest.raises(TypeError, match=r"The name of .* returned a coroutine"):
        locked_view(lambda request: later(), using="memory")(view)(request())
    with (
        lock("event", using="memory"),
        pytest.raises(TypeError, match=r"on_busy of .* returned a coroutine"),
    ):
        locked_view("event", using="memory", on_busy=lambda *_: later())(view)(request())
