"""Views that release their lock themselves, or hand it to another process."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse

from django_redislock import lock, lock_backends, locked_view

from .requests import content, holds, request


@pytest.mark.parametrize("name", ["event", ["event", "sale"]], ids=["one", "several"])
def test_a_view_may_release_its_lock(name: Any, alias: str) -> None:
    @locked_view(name, using=alias)
    def view(request: Any) -> HttpResponse:
        request.lock.release()
        return HttpResponse(str(holds("event", alias)))

    assert content(view(request())) == "0"


def test_a_view_may_hand_its_lock_to_another_process(alias: str) -> None:
    @locked_view("event", using=alias)
    def view(request: Any) -> HttpResponse:
        return HttpResponse(request.lock.detach(60))

    token = content(view(request()))
    assert [hold.token for hold in lock_backends[alias].inspect("event")[0]] == [token]
    lock("event", token=token, using=alias).release()
