"""Runs of ``manage.py demo`` with small numbers."""

from __future__ import annotations

import secrets
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import psycopg
import pytest
from django.conf import settings

from example_project.demo.sales import look
from example_project.tickets.buyers import post

from .processes import ROOT, SMALL, Demo, assert_nothing_is_left, eventually, family
from .sites import sign_in

StartDemo = Callable[..., Demo]

SERVING = r"^Ticket office +http://127\.0\.0\.1:(\d+)/$"
pytestmark = pytest.mark.timeout(300)

REDIS = r"^Redis: .*:(\d+)/0$"


def row(output: str, title: str) -> list[str]:
    """The two values of a row of the table."""
    line = next(line for line in output.splitlines() if line.startswith(f"│ {title} "))
    return [cell.strip() for cell in line.strip("│").split("│")[1:]]


def test_the_lock_makes_the_sale_exact(demo: StartDemo) -> None:
    before = sorted((ROOT / "example_project").iterdir())
    run = demo(*SMALL, "--no-serve")

    assert run.exit_code() == 0, run.output()
    output = run.output()
    assert row(output, "Server processes") == ["2", "2"]
    oversold, none = (int(value) for value in row(output, "Oversold"))
    assert oversold > 0
    assert none == 0
    assert row(output, "Tickets sold") == [str(20 + oversold), "20"]
    assert row(output, "Stock left in the database")[1] == "0"
    assert row(output, "Buyers who found it sold out")[1] == "20"
    assert row(output, "Buyers with no answer, or an error") == ["0", "0"]
    assert row(output, "Result") == [f"oversold by {oversold}", "exact"]
    assert "exactly 20 sold of 20, to 40 buyers" in output
    assert list(run.folder.iterdir()) == []
    assert sorted((ROOT / "example_project").iterdir()) == before


def test_more_tickets_than_buyers_in_plain_text_of_80_columns(demo: StartDemo) -> None:
    run = demo("--tickets", "9", "--buyers", "4", "--servers", "1", "--no-serve")

    assert run.exit_code() == 0, run.output()
    assert row(run.output(), "Stock left in the database")[1] == "5"
    lines = run.output().splitlines()
    assert max(map(len, lines)) <= 80, "without a terminal"
    assert all(line.isprintable() for line in lines)


def test_an_inexact_guarded_sale_fails(demo: StartDemo) -> None:
    run = demo(*SMALL, "--no-serve", DJANGO_SETTINGS_MODULE="tests.example.lock_in_each_process")

    assert run.exit_code() == 1
    assert "The guarded sale was not exact." in run.output()
    assert row(run.output(), "Result")[1] != "exact"


def test_the_address_of_a_redis_that_is_down_is_named(demo: StartDemo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    run = demo(*SMALL, "--no-serve", REDIS_URL=f"redis://user:secret@127.0.0.1:{port}/0")

    assert run.exit_code() == 1
    assert f"redis://127.0.0.1:{port}/0" in run.output()
    assert "(Redis) cannot be reached" in run.output()
    assert "secret" not in run.output()
    assert list(run.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value", "limits"),
    [
        ("--tickets", "0", "from 1 to 99999"),
        ("--buyers", "100000", "from 1 to 99999"),
        ("--servers", "many", "from 1 to 99"),
        ("--port", "http", "from 1 to 65535"),
    ],
)
def test_an_impossible_number_is_refused(
    demo: StartDemo, option: str, value: str, limits: str
) -> None:
    run = demo("--no-serve", option, value)

    assert run.exit_code() == 2, run.output()
    assert f"argument {option}: must be a whole number {limits}" in run.output()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CHARGE_SECONDS", "abc", "write a number of seconds such as 0.1"),
        ("CHARGE_SECONDS", "0", "write a number of seconds such as 0.1"),
        ("REPORT_SECONDS", "nan", "write a number of seconds such as 5"),
        ("DATABASE_URL", "foo", "write postgres://user@host/name, for example"),
        ("DATABASE_URL", "postgres://:secret@[x", "write postgres://user@host/name, for example"),
        (
            "DATABASE_URL",
            "sqlite:////nowhere/at/all",
            "DATABASE_URL cannot be used: unable to open",
        ),
        ("REDIS_URL", "foo", "redis://, rediss://, unix://"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(
    demo: StartDemo, name: str, value: str, words: str
) -> None:
    run = demo("--no-serve", **{name: value})

    assert run.exit_code() == 1
    assert words in run.output()
    assert "Traceback" not in run.output()
    assert "secret" not in run.output()
    assert name in run.output() or "CACHES" in run.output()


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [
        (signal.SIGINT, 0),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long),
        (signal.SIGKILL, -9),
    ],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else "",
)
def test_the_end_of_a_visit_leaves_nothing_behind(
    demo: StartDemo, number: signal.Signals, exit_code: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    run = demo(*SMALL, "--port", str(port), REPORT_SECONDS="0.1")
    assert int(run.until(SERVING)[1]) == port
    redis_port = int(run.until(REDIS)[1])
    run.until("^Press Ctrl-C to stop the demo.$")
    eventually(lambda: look(port)["held"], lambda: "there is no traffic")
    status, _retry_after, answer = post(f"127.0.0.1:{port}", "/process/", {})
    assert status == 200, f"the traffic is in the way of the page's report: {answer}"
    freeze_a_holder(port)
    processes = family(run.process.pid)
    assert sum("demo.servers" in name for name in processes.values()) >= 4, processes
    assert sum("traffic" in name for name in processes.values()) >= 3, processes
    assert sum("valkey" in name or "redis-server" in name for name in processes.values()) >= 1
    assert list(run.folder.iterdir())

    run.process.send_signal(number)

    assert run.exit_code() == exit_code, run.output()
    assert_nothing_is_left(run, processes, port, redis_port)


def freeze_a_holder(port: int) -> None:
    """Send buyers, and freeze a process that is selling; it must end with the others."""
    site = f"127.0.0.1:{port}"
    assert post(site, "/rush/", {"tickets": 50, "buyers": 50})[0] == 200
    (event,) = (pane["event"] for pane in look(port)["panes"] if pane["guarded"])
    mishap = {"event": event, "kind": "freeze"}
    eventually(lambda: post(site, "/mishap/", mishap)[0] == 200, lambda: str(look(port)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_the_end_during_the_sale_leaves_nothing_behind(
    demo: StartDemo, number: signal.Signals
) -> None:
    run = demo(*SMALL, "--no-serve", CHARGE_SECONDS="5")
    redis_port = int(run.until(REDIS)[1])
    eventually(lambda: tickets_on_sale(run) == 20, run.output)
    processes = family(run.process.pid)

    run.process.send_signal(number)

    assert run.exit_code() == (130 if number == signal.SIGINT else -9), run.output()
    assert_nothing_is_left(run, processes, redis_port)


def tickets_on_sale(run: Demo) -> int | None:
    """The number of tickets on sale, which the run sets last before it sells."""
    for path in run.folder.glob("redislock-demo-*/demo.sqlite3"):
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path)) as database:
            for (tickets,) in database.execute("SELECT tickets FROM tickets_event"):
                return int(tickets)
    return None


@pytest.mark.long
def test_a_visit_uses_another_port_when_the_first_is_taken(demo: StartDemo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = demo(*SMALL, "--port", str(port))
        address = f"http://127.0.0.1:{run.until(SERVING)[1]}"

        assert f"Port {port} is taken" in run.output()
        assert f"{address}/admin/django_redislock/lock/hot/" in run.output()
        assert not address.endswith(f":{port}")
        password = run.until("user admin, password (.+)$")[1]
        assert "Log out" in sign_in(address, password)


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    """A new database, dropped afterwards."""
    config = settings.DATABASES["postgresql"]
    user = ":".join(part for part in (config["USER"], config["PASSWORD"]) if part)
    server = f"postgres://{user}@{config['HOST']}:{config['PORT']}"
    name = f"redislock_demo_{secrets.token_hex(6)}"
    with psycopg.connect(f"{server}/{config['NAME']}", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{server}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.long
@pytest.mark.postgresql
def test_the_demo_runs_again_on_postgresql_without_a_foreign_admin(
    demo: StartDemo, postgresql_url: str
) -> None:
    for _ in range(2):
        run = demo(*SMALL, "--no-serve", DATABASE_URL=postgresql_url)

        assert run.exit_code() == 0, run.output()
        assert row(run.output(), "Result")[1] == "exact"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("UPDATE auth_user SET email = 'ada@example.org', password = 'mine'")

        run = demo("--tickets", "2", "--buyers", "4", "--no-serve", DATABASE_URL=postgresql_url)

        assert run.exit_code() == 1
        assert "a user 'admin' that the demo did not create" in run.output()
        assert connection.execute("SELECT password FROM auth_user").fetchall() == [("mine",)]
