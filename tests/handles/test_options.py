"""Wrong options of a handle, whose errors say what to write instead."""

from __future__ import annotations

import copy
import datetime
import functools
import inspect
import math
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy

from django_redislock import (
    LockError,
    LockLost,
    LockNotAcquired,
    LockUnavailable,
    lock,
    locked,
)
from django_redislock.backends.base import Holder
from django_redislock.exceptions import InvalidLockBackend


def test_an_option_without_its_name_is_refused() -> None:
    with pytest.raises(TypeError, match=r"options as keywords: lock\("):
        lock("a", 5)
    with pytest.raises(TypeError, match="a name or a list of names"):
        lock(object(), "a")  # python-redis-lock takes a client first
    assert list(inspect.signature(lock).parameters)[:2] == ["name", "using"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lease": 0}, "lease must be at least 0.02 seconds, not 0"),
        ({"lease": -1}, "lease must be at least 0.02 seconds"),
        ({"lease": "10"}, "lease must be a number of seconds or a timedelta, not '10'"),
        ({"lease": True}, "lease must be a number of seconds"),
        ({"lease": math.inf}, "lease must be finite, so that every hold ends by itself"),
        ({"lease": 1e10}, "lease must be at most 3155760000 seconds"),
        ({"lease": datetime.timedelta.max}, "lease must be at most 3155760000 seconds"),
        ({"lease": math.nan}, "lease must be a number"),
        ({"wait": -0.1}, "wait must be 0 or more seconds"),
        ({"wait": math.nan}, "wait must be a number"),
        ({"wait": -(10**4000)}, "wait must be 0 or more seconds, not -inf"),
        ({"lease": 10**4000}, "lease must be finite, so that every hold ends by itself"),
        ({"max_hold": -1}, "max_hold must be at least 0.02 seconds, not -1. .*no end"),
        ({"max_hold": 0}, "max_hold must be at least 0.02 seconds, not 0. .*switch renewal off"),
        ({"limit": 0}, "limit must be a whole number from 1 to 2147483646, not 0"),
        ({"limit": 2.5}, "limit must be a whole number"),
        ({"limit": True}, "limit must be a whole number"),
        ({"limit": 2**31}, "a whole number from 1 to 2147483646, not 2147483648"),
        ({"limit": 2**31 - 1}, "limit must be a whole number"),
        ({"limit": 2, "shared": True}, "limit and shared exclude each other"),
        ({"token": ""}, "token must be the token of another handle"),
        ({"token": "two words"}, "token must be the token of another handle"),
        ({"token": "two\tfields"}, "token must be the token of another handle"),
        ({"token": "two\nlines"}, "token must be the token of another handle"),
        ({"token": "\xe9" * 32}, "token must be the token of another handle"),
        ({"token": "\ud800"}, "token must be the token of another handle"),
    ],
    ids=str,
)
def test_a_wrong_option_is_a_value_error(options: Any, says: Any) -> None:
    with pytest.raises(ValueError, match=says):
        lock("a", **options)


@pytest.mark.parametrize("wait", [10**10, 1e10, datetime.timedelta.max, math.inf, 10**4000])
def test_a_wait_may_be_as_long_as_you_like(wait: Any) -> None:
    assert lock("a", wait=wait).wait > 3_155_760_000
    assert lock("a", max_hold=wait)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on_lost": 5}, "on_lost must be a callable that gets the handle, not 5"),
        ({"renew": "no"}, "renew must be True or False, not 'no'"),
        ({"shared": 1}, "shared must be True or False, not 1"),
        ({"reentrant": "yes"}, "reentrant must be True or False, not 'yes'"),
        ({"what": 7}, r"what must be a string, not 7; write str\(...\) around it"),
        ({"label": 7}, r"label must be a string, not 7; write str\(...\) around it"),
        ({"label": b"x"}, r"label must be a string, not b'x'; write .decode\(\) after it"),
        ({"label": str.upper}, r"label must be a string, not .*; call it: write \(...\) after it"),
        ({"label": ["a"]}, r"label must be a string, not \['a'\]\.$"),
        ({"label": True}, r"label must be a string, not True\.$"),
    ],
    ids=str,
)
def test_an_option_of_the_wrong_kind_is_a_type_error(options: Any, says: Any) -> None:
    with pytest.raises(TypeError, match=says):
        lock("a", **options)


def test_a_callable_that_cannot_be_called_with_the_handle() -> None:
    with pytest.raises(TypeError, match=r"on_lost takes other arguments.*write set\(lock\)"):
        lock("a", on_lost=threading.Event().set)

    class Watcher:
        def lost(self) -> None: ...

        def note(self, held: object) -> None: ...

    with pytest.raises(TypeError, match=r"write lost\(lock\)"):
        lock("a", on_lost=Watcher().lost)
    assert lock("a", on_lost=Watcher().note)
    for fitting in ([].append, lambda *args: None, lambda held, why="": None):
        assert lock("a", on_lost=fitting)


def test_a_coroutine_function_as_on_lost_is_refused() -> None:
    class Watcher:
        async def lost(self, held: object) -> None: ...

    for callback in (Watcher().lost, functools.partial(Watcher().lost)):
        with pytest.raises(TypeError, match=r"on_lost is called in a thread.*await held\.lost"):
            lock("a", on_lost=callback)
        with pytest.raises(TypeError, match="on_lost is called in a thread"):
            locked("a", on_lost=callback)


def test_a_value_equal_to_an_earlier_one_is_checked_again() -> None:
    assert lock("a", shared=True, lease=1).limit > 1
    with pytest.raises(TypeError, match="shared must be True or False, not 1"):
        lock("a", shared=1, lease=1)
    with pytest.raises(ValueError, match="lease must be a number of seconds or a timedelta"):
        lock("a", shared=True, lease=True)
    with pytest.raises(ValueError, match="lease must be a number of seconds or a timedelta"):
        lock("a", lease=[1])


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("", ValueError, "must not be empty"),
        (42, TypeError, "a name or a list of names"),
        (None, TypeError, "a name or a list of names"),
        (gettext_lazy("a"), TypeError, r"not 'a' \(__proxy__\)"),
        (["a", 42], TypeError, "must be a string, not 42; write str"),
        (["a", ""], ValueError, "must not be empty"),
        ([], ValueError, "at least one name"),
        ({"a": 1}, TypeError, "a name or a list of names"),
    ],
    ids=str,
)
def test_a_wrong_name(name: str, error: Any, says: Any) -> None:
    with pytest.raises(error, match=says):
        lock(name)


def test_a_token_belongs_to_one_name() -> None:
    with pytest.raises(ValueError, match="make a handle for each"):
        lock(["a", "b"], token="t")


def test_wrong_durations_of_the_verbs() -> None:
    with lock("a") as held:
        for wrong in (0, -1, math.inf, "1"):
            with pytest.raises(ValueError, match="lease must be"):
                held.extend(wrong)
        with pytest.raises(ValueError, match="wait must be"):
            lock("a").acquire(wait=-1)
        held.check()


@pytest.mark.parametrize(
    ("arguments", "named", "says"),
    [
        ((True,), {}, "wait must be a number of seconds, not True; wait=0 makes"),
        ((), {"blocking": False}, "has no argument 'blocking': write wait=0"),
        ((), {"lease": 5}, r"'lease': it is an option of the handle, lock\(..., lease="),
        ((), {"timeout": 5}, "'timeout': write wait= and a number"),
    ],
)
async def test_arguments_of_other_libraries_to_acquire(
    arguments: Any, named: Any, says: str
) -> None:
    handle: Any = lock("a", using="memory")
    with pytest.raises(TypeError, match=says):
        handle.acquire(*arguments, **named)
    with pytest.raises(TypeError, match=says):
        await handle.aacquire(*arguments, **named)


async def test_arguments_of_other_libraries_to_extend() -> None:
    handle: Any = lock("a", using="memory")
    for extend in (handle.extend, handle.aextend):
        with pytest.raises(TypeError, match="'additional_time': write lease= and a number"):
            await extend(additional_time=5)


def test_durations_may_be_timedeltas() -> None:
    minute = datetime.timedelta(minutes=1)
    with lock("a", lease=minute, wait=minute, max_hold=minute) as held:
        assert 45 < held.remaining() <= 60
        held.extend(datetime.timedelta(minutes=2))
        assert held.remaining() > 105


def test_the_error_for_an_unknown_alias_names_the_known_ones() -> None:
    with pytest.raises(InvalidLockBackend, match="no lock backend 'nowhere'.*'default', 'memory'"):
        lock("a", using="nowhere")
    assert issubclass(InvalidLockBackend, ImproperlyConfigured)


def test_an_alias_that_is_not_a_string_is_unknown() -> None:
    with pytest.raises(InvalidLockBackend, match=r"must be a string, not \['other'\]"):
        lock("a", using=["other"])


@pytest.mark.parametrize("entry", [{"LEAS": 1}, {"BACKEND": "django.core.cache.cache"}])
def test_a_traceback_of_wrong_settings_shows_no_other_error(settings: Any, entry: Any) -> None:
    settings.LOCKS = {"default": entry}
    with pytest.raises(InvalidLockBackend) as caught:
        lock("a")
    assert caught.value.__context__ is None


def test_making_a_handle_does_not_connect(settings: Any) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    handle = lock("a")
    assert not handle.held
    with pytest.raises(LockUnavailable, match="The lock 'a' is unavailable: Redis") as caught:
        handle.acquire(wait=0)
    assert isinstance(caught.value.__cause__, Exception)
    assert not handle.held


def test_importing_the_package_opens_no_connection() -> None:
    """Importing its app opens none either."""
    program = (
        "import socket, sys\n"
        "socket.socket.connect = lambda *args: sys.exit('it connects')\n"
        "import django; django.setup()\n"
        "import django_redislock; django_redislock.lock('a')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)


@pytest.mark.parametrize("name", ["a", ["a", "b"]])
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_handle_is_neither_copied_nor_pickled(name: Any, how: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"cannot be copied or pickled: .* detach\(\)"):
        how(lock(name))


def test_every_error_is_a_lock_error_and_survives_pickling() -> None:
    holder = Holder(host="h", pid=1, what="w")
    busy = LockNotAcquired.after("a", 2.5, holder)
    busy.position, busy.estimated_wait, busy.retry_after = 3, 40.0, 44.5
    again = pickle.loads(pickle.dumps(busy))  # noqa: S301 - our own
    assert (str(again), again.name) == (str(busy), "a")
    assert (again.holder, again.position) == (holder, 3)
    assert (again.estimated_wait, again.retry_after) == (40.0, 44.5)
    away = LockUnavailable("It is away.", name="a", asked=False)
    assert vars(pickle.loads(pickle.dumps(away))) == vars(away)  # noqa: S301 - our own
    for kind in (LockError, LockLost, LockUnavailable):
        error = pickle.loads(pickle.dumps(kind.of("a", "is something")))  # noqa: S301
        assert type(error) is kind
        assert (error.name, str(error)) == ("a", "The lock 'a' is something.")
        named = kind.of("a\n\u202eb\x00", "is something")
        assert str(named) == r"The lock 'a\n\u202eb\x00' is something."
        assert issubclass(kind, LockError)


def test_a_name_with_control_characters_does_not_forge_a_line_of_the_log() -> None:
    with lock("a\nINFO all is well"):
        with pytest.raises(LockNotAcquired) as caught, lock("a\nINFO all is well", wait=0):
            pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", inspect.signature(lock).parameters.keys() - {"name"})
def test_an_option_that_is_none_has_its_default(option: str) -> None:
    options: Any = {option: None}

    given, left_out = lock("a", **options), lock("a")

    assert (given.backend, given._terms._replace(what=None)) == (
        left_out.backend,
        left_out._terms._replace(what=None),
    )
