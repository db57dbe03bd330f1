"""Names of locks, and what is stored with them."""

from __future__ import annotations

import gc
import tracemalloc
from enum import Enum
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from django_redislock import lock, lock_backends, locked
from django_redislock.backends.redis import commands, keys
from django_redislock.backends.redis.commands import call
from django_redislock.backends.redis.scripts import ACQUIRE
from django_redislock.holder import Holder, packed_holder
from django_redislock.names import LONGEST_NAME, NameTemplate, check_name


class Job(str, Enum):
    IMPORT = "import"


class Color(Enum):
    RED = "red"


def test_the_length_of_a_name_in_bytes_is_limited() -> None:
    assert check_name("ß" * (LONGEST_NAME // 2))
    for name in ("n" * (LONGEST_NAME + 1), "ß" * (LONGEST_NAME // 2) + "n"):
        with pytest.raises(
            ValueError, match=r"at most 1,024 bytes of UTF-8 long, not 1,025"
        ) as error:
            lock(name)
        assert "nnn" not in str(error.value)
        assert "ß" not in str(error.value)


@pytest.mark.parametrize("using", ["default", "memory"])
@pytest.mark.parametrize("name", [7, None, b"a"])
def test_what_is_inspected_is_a_name(using: str, name: Any) -> None:
    """A number that is no name would else be held by nobody."""
    for inspect in (lock_backends[using].inspect, async_to_sync(lock_backends[using].ainspect)):
        with pytest.raises(TypeError, match="name must be a string, not"):
            inspect(name)


def test_the_error_names_the_template_and_not_the_value() -> None:
    @locked("feed:{feed}", wait=0)
    def import_feed(feed: str) -> None: ...

    with pytest.raises(ValueError, match=r"The lock name 'feed:\{feed\}' must be") as error:
        import_feed("secret" * 1000)
    assert "secret" not in str(error.value)


def test_a_member_of_an_enum_is_the_string_that_it_equals() -> None:
    assert type(check_name(Job.IMPORT)) is str
    assert check_name(Job.IMPORT) == lock(Job.IMPORT).name == "import"
    assert f"{check_name(Job.IMPORT)}" == "import"
    with lock(Job.IMPORT):
        assert not lock("import").acquire(wait=0)


@pytest.mark.parametrize("field", ["job", "job!s", "job:>6"])
@pytest.mark.parametrize(("value", "text"), [(Job.IMPORT, "import"), (Color.RED, "red")])
def test_a_member_of_an_enum_is_its_value_in_a_template(field: str, value: Enum, text: str) -> None:
    name = NameTemplate(f"run:{{{field}}}").fill({"job": value})
    assert name.replace(" ", "") == f"run:{text}"


def test_long_labels_are_cut() -> None:
    packed = packed_holder("w" * 9999, "l" * 9999, None, "t" * 9999, "task-1", group="g")
    holder = Holder.unpack(packed)
    assert (holder.what, holder.label, holder.thread) == ("w" * 256, "l" * 256, "t" * 256)
    assert (holder.owner, holder.group) == ("task-1", "g")


def test_long_names_are_not_cached() -> None:
    args = tuple(map(commands.packed, ("1", "0", "terms")))

    def use_names(first: int) -> None:
        for number in range(first, first + 2000):
            call(ACQUIRE, "lock", f"{number}:" + "n" * 1000, "token", args)

    use_names(0)
    gc.collect()
    tracemalloc.start()
    use_names(2000)
    gc.collect()
    # Threads left by other tests may allocate memory, too.
    ours = [tracemalloc.Filter(True, file) for file in (__file__, commands.__file__, keys.__file__)]
    snapshot = tracemalloc.take_snapshot().filter_traces(ours)
    tracemalloc.stop()
    assert sum(trace.size for trace in snapshot.traces) < 200_000


@pytest.mark.parametrize(
    "packed",
    [
        *("", "[]", "null", "7", '"a"', "{", "\x00", '{"pid":"7"}', '{"pid":true}', '{"pid":-1}'),
        *('{"pid":1e400}', '{"renews_for":NaN}', '{"renews_for":-1}', '{"host":["a"]}'),
        *('{"a":' * 100_000, '{"started":1' + "0" * 5000 + "}"),
    ],
)
def test_a_damaged_holder_is_read_as_an_empty_one(packed: str) -> None:
    assert Holder.unpack(packed) == Holder()


def test_invalid_characters_and_long_texts_of_a_holder_are_replaced() -> None:
    holder = Holder.unpack('{"what":"\\ud800","label":"' + "l" * 9999 + '"}')
    assert str(holder).encode()
    assert len(holder.label) == 1024
