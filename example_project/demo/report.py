"""Output of the demo: rich text in a terminal, otherwise plain text in 80 columns."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.urls import reverse
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .sales import Sale

ROWS: list[tuple[str, Callable[[Sale], str]]] = [
    ("Tickets for sale", lambda sale: str(sale.sales["tickets"])),
    ("Buyers, all at once", lambda sale: str(sale.rush["buyers"])),
    ("Server processes", lambda sale: str(sale.rush["processes"])),
    ("Tickets sold", lambda sale: str(sale.sales["sold"])),
    ("Stock left in the database", lambda sale: str(sale.sales["stock"])),
    ("Oversold", lambda sale: str(sale.sales["oversold"])),
    ("Buyers who found it sold out", lambda sale: str(sale.told("sold_out"))),
    ("Busy answers, retried", lambda sale: str(sale.rush["busy"])),
    ("Buyers with no answer, or an error", lambda sale: str(sale.rush["failed"])),
    ("Time", lambda sale: f"{sale.rush['seconds']:.2f} s"),
    ("Answers per second", lambda sale: f"{sale.rush['buyers'] / sale.rush['seconds']:.0f}"),
]


def progress_bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=36),
        MofNCompleteColumn(),
        TextColumn("answers"),
        TimeElapsedColumn(),
        console=console,
    )


def result_table(unguarded: Sale, guarded: Sale) -> Table:
    table = Table()
    table.add_column()
    table.add_column("Unguarded", justify="right")
    table.add_column("Guarded", justify="right")
    for title, value in ROWS:
        table.add_row(title, value(unguarded), value(guarded))
    table.add_section()
    table.add_row("Result", verdict(unguarded), verdict(guarded), style="bold")
    return table


def verdict(sale: Sale) -> str:
    if sale.exact:
        return "exact"
    oversold = sale.sales["oversold"]
    return f"oversold by {oversold}" if oversold else "not exact"


def place(url: str) -> str:
    """Return a URL without its user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def remarks(unguarded: Sale, guarded: Sale) -> list[str]:
    """Return sentences that explain the table, and any errors."""
    sold, tickets = guarded.sales["sold"], guarded.sales["tickets"]
    texts = []
    if unguarded.sales["oversold"]:
        texts.append(f"Without the lock: oversold {unguarded.sales['oversold']}.")
    if guarded.exact:
        texts.append(
            f"With the lock: exactly {sold} sold of {tickets}, to {guarded.rush['buyers']} buyers."
        )
    else:
        texts.append(f"With the lock the sale was NOT exact: {sold} sold of {tickets}.")
    for kind, sale in (("guarded", guarded), ("unguarded", unguarded)):
        if sale.rush["failure"]:
            texts.append(f"Error in the {kind} sale: {sale.rush['failure']}")
    return texts


def addresses(site: str) -> list[tuple[str, str]]:
    """Return the titles and URLs of the pages to look at."""
    pages = [
        ("Ticket office", "tickets:office"),
        ("Live locks", "admin:django_redislock_lock_changelist"),
        ("Hot names", "admin:django_redislock_lock_hot"),
        ("Who waits", "admin:django_redislock_lock_waits"),
        ("Released", "admin:django_redislock_lock_released"),
    ]
    return [(title, f"{site}{reverse(name)}") for title, name in pages]
