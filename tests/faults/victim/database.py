"""Database of a run: PostgreSQL if it is available, else SQLite."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
from django.conf import settings
from django.db.utils import ConnectionHandler

from tests.faults.victim.models import FencedCounter, UnfencedCounter, Write
from tests.faults.workers.workload import COMMITTED, FENCED, UNFENCED
from tests.faults.writes import Written


class Database:
    """A separate database, which is removed at the end of the block. Workers find it at `url`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "victim.sqlite3"

    def __enter__(self) -> Database:
        with ExitStack() as stack:
            self.url = self._create(stack)
            connections = ConnectionHandler({"default": dj_database_url.parse(self.url)})
            self._connection: Any = stack.enter_context(closing(connections["default"]))
            self._create_rows()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def description(self) -> str:
        """The database and its version."""
        version = ".".join(map(str, self._connection.get_database_version()))
        return f"{self._connection.display_name} {version}"

    def writes(self) -> list[Written]:
        """Return all committed writes; the writes of each row are in the order of their commits."""
        with self._connection.cursor() as cursor:
            table = Write._meta.db_table
            cursor.execute(f"SELECT name, token, fence, before FROM {table} ORDER BY id")  # noqa: S608 - our own table
            return [Written(*row) for row in cursor.fetchall()]

    def _create(self, stack: ExitStack) -> str:
        config = settings.DATABASES["postgresql"]
        name = f"redislock_faults_{os.getpid()}_{secrets.token_hex(4)}"
        where = {"host": config["HOST"], "port": config["PORT"], "dbname": config["NAME"]}
        who = {"user": config["USER"], "password": config["PASSWORD"] or None}
        try:
            server = psycopg.connect(**where, **who, connect_timeout=5, autocommit=True)
        except psycopg.OperationalError:
            return f"sqlite:///{self._file}?timeout=60&transaction_mode=IMMEDIATE"
        stack.enter_context(server)
        server.execute(f"CREATE DATABASE {name}")
        stack.callback(server.execute, f"DROP DATABASE {name} WITH (FORCE)")
        # A crash of the database is not tested, so durability does not matter.
        options = "options=-c%20synchronous_commit%3Doff"
        password = f":{config['PASSWORD']}" if config["PASSWORD"] else ""
        address = f"{config['USER']}{password}@{config['HOST']}:{config['PORT']}"
        return f"postgres://{address}/{name}?{options}"

    def _create_rows(self) -> None:
        with self._connection.schema_editor(atomic=False) as editor:
            for model in (FencedCounter, UnfencedCounter, Write):
                editor.create_model(model)
        with self._connection.cursor() as cursor:
            unfenced = (*UNFENCED, *COMMITTED)
            for model, names in ((FencedCounter, FENCED), (UnfencedCounter, unfenced)):
                statement = (
                    f"INSERT INTO {model._meta.db_table} (name, value, writer) VALUES (%s, 0, '')"  # noqa: S608 - our own table
                )
                cursor.executemany(statement, [(name,) for name in names])
