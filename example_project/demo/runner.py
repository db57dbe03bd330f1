"""The demo from its start to its end: Redis, the site, two rushes of buyers, the visit."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass

from rich.console import Console

from django_redislock.testing.servers import EmbeddedServer, ServerError

from . import HOST, report
from .buyers import Rush, Unanswered, rush
from .database import ADMIN
from .site import Site, SiteFailed, running_site

# What can go wrong with the demo itself, in one place for those who report it.
FAILURES = (ServerError, SiteFailed, Unanswered)


@dataclass(frozen=True)
class Options:
    tickets: int
    buyers: int
    servers: int
    port: int | None  # None: end after the results


def run(options: Options, console: Console) -> bool:
    """Run the demo; say whether the guarded sale was exact.

    With a port the site is then served until Ctrl-C. Raises one of FAILURES.
    """
    with ExitStack() as stack:
        redis_url = os.environ.get("REDIS_URL", "")
        redis = report.place(redis_url)
        if not redis_url:
            redis_url = stack.enter_context(EmbeddedServer()).url
            redis = f"an embedded server, {redis_url}"
        database = os.environ.get("DATABASE_URL", "")
        database = report.place(database) if database else "SQLite, thrown away at the end"
        console.print(f"Redis:     {redis}\nDatabase:  {database}", highlight=False)
        site = stack.enter_context(running_site(options.servers, options.port, redis_url))
        unguarded, guarded = _both_rushes(options, site, console)
        console.print(report.result_table(unguarded, guarded))
        for text in report.remarks(unguarded, guarded):
            console.print(text, highlight=False)
        if site.port is not None:
            _visit(options, site, console)
        return guarded.exact


def _both_rushes(options: Options, site: Site, console: Console) -> tuple[Rush, Rush]:
    results = []
    with report.progress_bar(console) as progress:
        for guarded in (False, True):
            task = progress.add_task("Guarded" if guarded else "Unguarded", total=options.buyers)
            results.append(
                rush(
                    site.ports,
                    guarded=guarded,
                    tickets=options.tickets,
                    buyers=options.buyers,
                    on_answer=lambda task=task: progress.advance(task),
                )
            )
    return results[0], results[1]


def _visit(options: Options, site: Site, console: Console) -> None:
    if site.port != options.port:
        console.print(f"\nPort {options.port} is taken, so another one is used.", highlight=False)
    address = f"http://{HOST}:{site.port}/"
    console.print(
        f"\nThe site:  {address}\n"
        f"Admin:     {address}admin/\n"
        f"           user {ADMIN}, password {site.password}\n"
        "Ctrl-C ends the demo.",
        highlight=False,
        soft_wrap=True,
    )
    try:
        site.wait()
    except KeyboardInterrupt:
        console.print("\nThe demo has ended.")
