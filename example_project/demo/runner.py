"""Run of the demo from start to end: Redis, the site, both sales, and the visit."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from rich.console import Console

from django_redislock.testing.launcher import SupervisedProcess
from django_redislock.testing.servers import EmbeddedServer, ServerError

from . import HOST, report
from .database import ADMIN
from .sales import Sale, Unanswered, sell
from .site import Site, SiteFailed, running_site

# Errors of the demo itself, in one place for the command that reports them.
FAILURES = (ServerError, SiteFailed, Unanswered)


@dataclass(frozen=True)
class Options:
    tickets: int
    buyers: int
    servers: int
    port: int | None  # None: end after the results


def run(options: Options, console: Console) -> bool:
    """Run the demo, and return whether the guarded sale was exact.

    With a port the site is then served until Ctrl-C. Raises one of FAILURES.
    """
    with ExitStack() as stack:
        redis_url = os.environ.get("REDIS_URL", "")
        redis = report.place(redis_url)
        if not redis_url:
            redis_url = stack.enter_context(EmbeddedServer()).url
            redis = f"an embedded server, {redis_url}"
        database = os.environ.get("DATABASE_URL", "")
        database = report.place(database) if database else "SQLite, deleted at the end"
        console.print(f"Redis:     {redis}\nDatabase:  {database}", highlight=False)
        site = stack.enter_context(running_site(options.servers, options.port or 0, redis_url))
        unguarded, guarded = _both_sales(options, site, console)
        console.print(report.result_table(unguarded, guarded))
        for text in report.remarks(unguarded, guarded):
            console.print(text, highlight=False)
        if options.port is not None:
            stack.enter_context(_traffic(redis_url))
            _visit(options.port, site, redis_url, console)
        return guarded.exact


def _both_sales(options: Options, site: Site, console: Console) -> tuple[Sale, Sale]:
    with report.progress_bar(console) as progress:
        tasks = [progress.add_task(name, total=options.buyers) for name in ("Unguarded", "Guarded")]

        def show(answered: list[int]) -> None:
            for task, count in zip(tasks, answered, strict=True):
                progress.update(task, completed=count)

        return sell(site.port, tickets=options.tickets, buyers=options.buyers, on_look=show)


@contextmanager
def _traffic(redis_url: str) -> Iterator[None]:
    """Run other users of locks, so that the admin pages have something to show."""
    process = SupervisedProcess(
        [sys.executable, sys.argv[0], "traffic", "--verbosity", "0"],
        env={**os.environ, "REDIS_URL": redis_url},
    )
    try:
        yield
    finally:
        process.stop()


def _visit(port: int, site: Site, redis_url: str, console: Console) -> None:
    if site.port != port:
        console.print(f"\nPort {port} is taken, so another one is used.", highlight=False)
    lines = [
        "",
        *(f"{title:<14} {url}" for title, url in report.addresses(f"http://{HOST}:{site.port}")),
        f"{'':<14} user {ADMIN}, password {site.password}",
        f"{'More traffic':<14} REDIS_URL={redis_url} python {sys.argv[0]} traffic",
        "Press Ctrl-C to stop the demo.",
    ]
    console.print("\n".join(lines), highlight=False, soft_wrap=True)
    try:
        site.wait()
    except KeyboardInterrupt:
        console.print("\nThe demo has ended.")
