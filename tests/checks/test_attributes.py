"""Unused attributes of locked classes, which are errors if they are misspelled options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core import checks
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.views.generic import DetailView, View
from rest_framework.views import APIView

from django_redislock import LockableMixin, LockedViewMixin
from django_redislock.attributes import unknown_attributes
from django_redislock.checks import check_classes
from django_redislock.commands import LockedCommand


@pytest.fixture(autouse=True)
def _others(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave out classes of other tests."""
    before = dict(unknown_attributes)
    unknown_attributes.clear()
    yield
    unknown_attributes.clear()
    unknown_attributes.update(before)


BASES: dict[str, tuple[type, ...]] = {
    "view": (LockedViewMixin, View),
    "command": (LockedCommand,),
    "model": (LockableMixin,),
}


def make(kind: str, **attributes: Any) -> type:
    return type("Sale", BASES[kind], {"__module__": "shop", **attributes})


@pytest.mark.parametrize(
    ("kind", "name", "meant"),
    [
        ("view", "lock_metods", "lock_methods"),
        ("view", "lock_wiat", "lock_wait"),
        ("view", "lock_nmae", "lock_name"),
        ("view", "lock_on_bussy", "lock_on_busy"),
        ("view", "lockname", "lock_name"),
        ("command", "lock_wiat", "lock_wait"),
        ("command", "lock_option", "lock_options"),
        ("command", "busy_exitcode", "busy_exit_code"),
        ("command", "lost_exit_cod", "lost_exit_code"),
        ("command", "busy_quite", "busy_quiet"),
        ("command", "get_lock_names", "get_lock_name"),
        ("model", "lock_nam", "lock_name"),
        ("model", "lock_optoins", "lock_options"),
    ],
)
def test_a_misspelled_attribute_is_refused_in_the_class_definition(
    kind: str, name: str, meant: str
) -> None:
    with pytest.raises(TypeError, match=rf"shop\.Sale.*'{name}'.*Did you mean '{meant}'\?"):
        make(kind, **{name: 1})


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("model", "lock"),
        ("model", "locks"),
        ("model", "locker"),
        ("model", "lock_hold"),
        ("view", "lock_state"),
        ("command", "lock_waits"),
        ("command", "lock_leases"),
    ],
)
def test_a_method_or_property_with_a_similar_name_is_accepted(kind: str, name: str) -> None:
    def method(self: Any) -> str:
        return "its own"

    owner: Any = make(kind, **{name: method})
    assert getattr(owner, name)(None) == "its own"
    make(kind, **{name: property(method)})


def test_a_single_word_is_not_taken_for_a_misspelling() -> None:
    owner: Any = make("model", locks=["front", "back"])
    assert owner.locks == ["front", "back"]


def test_a_misspelled_get_lock_name_is_refused() -> None:
    def method(self: Any) -> str:
        return "account:7"

    with pytest.raises(TypeError, match="Did you mean 'get_lock_name'"):
        make("model", get_lock_nmae=method)


@pytest.mark.parametrize("name", ["busy_exit_code", "lost_exit_code"])
@pytest.mark.parametrize("value", [256, -1, "75", None, True])
def test_what_is_no_exit_code_is_refused_when_the_class_is_made(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a whole number from 0 to 255, not"):
        make("command", **{name: value})
    assert make("command", **{name: property(lambda self: value)})


def test_a_misspelled_attribute_of_another_base_class_is_refused() -> None:
    class Shared:
        lock_wiat = 5

    with pytest.raises(TypeError, match="'lock_wiat'"):

        class Sale(Shared, LockedViewMixin, View):
            pass


@pytest.mark.parametrize("kind", BASES)
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("lock_lease", "lease"),
        ("lock_label", "label"),
        ("lock_shared", "shared"),
        ("lock_max_hodl", "max_hold"),
    ],
)
def test_the_error_for_an_option_as_an_attribute_names_lock_options(
    kind: str, name: str, option: str
) -> None:
    with pytest.raises(TypeError, match=rf"lock_options = \{{'{option}': \.\.\.\}}"):
        make(kind, **{name: 1})
    if kind == "model":
        with pytest.raises(TypeError, match=r"lock_options = \{'wait': \.\.\.\}"):
            make(kind, lock_wait=1)


@pytest.mark.parametrize("kind", BASES)
def test_an_option_that_no_class_accepts_may_be_an_own_attribute(kind: str) -> None:
    made = make(kind, lock_token="secret", lock_what="a sale")
    assert unknown_attributes[made] == ["lock_token", "lock_what"]


@pytest.mark.parametrize("kind", BASES)
def test_lock_options_are_checked_in_the_class_definition(kind: str) -> None:
    with pytest.raises(
        TypeError, match=r"lock_options is a dictionary of options, not \['lease'\]"
    ):
        make(kind, lock_options=["lease"])
    with pytest.raises(TypeError, match=r"'timeout'.*lease="):
        make(kind, lock_options={"timeout": 5})
    with pytest.raises(ValueError, match="lease must be"):
        make(kind, lock_options={"lease": -1})
    made: Any = make(kind, lock_options=property(lambda self: {"lease": 5}))
    assert made


@pytest.mark.parametrize("kind", ["command", "model"])
def test_only_views_accept_a_function_as_label(kind: str) -> None:
    def who(request: HttpRequest) -> str:
        return request.method or ""

    with pytest.raises(TypeError, match=r"label must be a string, not <function"):
        make(kind, lock_options={"label": who})
    assert make("view", lock_options={"label": who})


@pytest.mark.parametrize("kind", ["view", "command"])
def test_lock_wait_is_checked_in_the_class_definition(kind: str) -> None:
    with pytest.raises(ValueError, match="wait must be 0 or more seconds, not -1"):
        make(kind, lock_wait=-1)
    with pytest.raises(TypeError, match="Write the wait in lock_wait, not in lock_options"):
        make(kind, lock_options={"wait": 5})
    assert make(kind, lock_wait=property(lambda self: 5))


def test_the_error_for_a_status_in_lock_options_names_lock_status() -> None:
    with pytest.raises(TypeError, match="Write the status in lock_status, not in lock_options"):
        make("view", lock_options={"status": 409})


@pytest.mark.parametrize("kind", BASES)
def test_lock_name_is_checked_in_the_class_definition(kind: str) -> None:
    with pytest.raises(TypeError, match="The name of a lock is a template, a list of templates"):
        make(kind, lock_name=7)
    with pytest.raises(ValueError, match="would be one lock for all calls: '%s' is not a field"):
        make(kind, lock_name="sale:%s")


@pytest.mark.parametrize("kind", ["command", "model"])
def test_a_lock_name_that_is_a_method_is_refused(kind: str) -> None:
    def lock_name(self: Any, *args: Any) -> str:
        return "sale"

    with pytest.raises(TypeError, match=r"shop\.Sale.*lock_name.*override get_lock_name\(\)"):
        make(kind, lock_name=lock_name)
    assert make(kind, lock_name=property(lock_name))
    assert make(kind, get_lock_name=lock_name)


def test_a_row_has_one_lock() -> None:
    with pytest.raises(TypeError, match=r"shop\.Sale has the lock_name \['a', 'b'\]: .* one lock"):
        make("model", lock_name=["a", "b"])


def test_the_name_of_a_rows_lock_begins_with_self() -> None:
    with pytest.raises(
        ValueError, match=r"shop\.Sale has the lock_name .*\{pk\}: write \{self\.pk\}"
    ):
        make("model", lock_name="sale:{pk}")
    with pytest.raises(ValueError, match="one lock for all"):
        make("model", lock_name="sale:%s")
    assert make("model", lock_name="sale:{self.pk}")


@pytest.mark.parametrize("kind", BASES)
@pytest.mark.parametrize("name", ["lock_icon", "lock_version", "lock_time", "locksmith", "quit"])
def test_an_unknown_lock_attribute_is_a_warning_of_the_checks(kind: str, name: str) -> None:
    made = make(kind, **{name: 1})
    messages = check_classes()
    if not name.startswith("lock_"):
        assert messages == []
        return
    (message,) = messages
    assert message.id == "locks.W006"
    assert message.level == checks.WARNING
    assert "shop.Sale" in message.msg
    assert name in message.msg
    assert "SILENCED_SYSTEM_CHECKS" in (message.hint or "")
    del made


def test_the_check_of_attributes_is_registered(settings: Any) -> None:
    made = make("view", lock_icon="padlock")
    assert "locks.W006" in [message.id for message in checks.run_checks(tags=["locks"])]
    settings.SILENCED_SYSTEM_CHECKS = ["locks.W006"]
    found = [one for one in checks.run_checks(tags=["locks"]) if not one.is_silenced()]
    assert "locks.W006" not in [message.id for message in found]
    del made


def test_a_mixin_after_the_view_is_refused() -> None:
    for view in (View, DetailView, APIView):
        with pytest.raises(TypeError, match=r"LockedViewMixin goes before.*class Sale\(Locked"):
            type("Sale", (view, LockedViewMixin), {"__module__": "shop"})
    with pytest.raises(TypeError, match="LockedViewMixin goes before"):
        type("Sale", (APIView, LockedViewMixin, View), {"__module__": "shop"})


def test_the_error_for_a_mixin_without_a_view_says_what_to_write() -> None:
    sale: Any = type("Sale", (LockedViewMixin,), {"__module__": "shop", "lock_name": "sale"})
    with pytest.raises(TypeError, match=r"before a view: class Sale\(LockedViewMixin, View\)"):
        sale.as_view()


def test_a_custom_dispatch_may_come_before_the_mixin() -> None:
    class Logged(View):
        def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return super().dispatch(request, *args, **kwargs)

    class Sale(Logged, LockedViewMixin, View):
        lock_name = "sale"
        lock_options = {"using": "memory"}

        def get(self, request: Any) -> HttpResponse:
            return HttpResponse(request.lock.name)

    assert Sale.as_view()(RequestFactory().get("/")).content == b"sale"


def test_locked_command_after_another_execute_is_refused() -> None:
    from django.core.management.base import BaseCommand

    class Announced(BaseCommand):
        def execute(self, *args: Any, **options: Any) -> str | None:
            return "worked"

    with pytest.raises(TypeError, match=r"LockedCommand goes before.*class Sale\(LockedCommand, "):
        type("Sale", (Announced, LockedCommand), {"__module__": "shop"})


def test_as_view_without_a_lock_name_is_refused() -> None:
    from django.core.exceptions import ImproperlyConfigured

    nameless: Any = make("view")
    with pytest.raises(ImproperlyConfigured, match=r"shop\.Sale needs the attribute lock_name"):
        nameless.as_view()
    assert nameless.as_view(lock_name="sale")


def test_a_dispatch_without_super_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Sale\.dispatch\(\) would run without the lock.*super"):

        class Sale(LockedViewMixin, View):
            def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                return HttpResponse("sold")
