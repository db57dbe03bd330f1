"""What the demo says at the terminal. Without one it is plain text of 80 columns."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .buyers import Rush

ROWS: list[tuple[str, Callable[[Rush], str]]] = [
    ("Tickets for sale", lambda rush: str(rush.sales["tickets"])),
    ("Buyers, all at once", lambda rush: str(rush.buyers)),
    ("Server processes", lambda rush: str(len({a.pid for a in rush.answers if a.pid}))),
    ("Tickets sold", lambda rush: str(rush.sales["sold"])),
    ("Stock left, says the database", lambda rush: str(rush.sales["stock"])),
    ("Oversold", lambda rush: str(rush.sales["oversold"])),
    ("Buyers told that it is sold out", lambda rush: str(rush.told("sold_out"))),
    ("Busy answers, tried again", lambda rush: str(sum(a.busy for a in rush.answers))),
    ("Buyers with no answer, or an error", lambda rush: str(len(failed(rush)))),
    ("Time", lambda rush: f"{rush.seconds:.2f} s"),
    ("Answers a second", lambda rush: f"{rush.buyers / rush.seconds:.0f}"),
]


def failed(rush: Rush) -> list[str]:
    """The texts of the answers that were no answer to a buyer."""
    return [a.text or a.result for a in rush.answers if a.result not in ("sold", "sold_out")]


def progress_bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=36),
        MofNCompleteColumn(),
        TextColumn("answers"),
        TimeElapsedColumn(),
        console=console,
    )


def result_table(unguarded: Rush, guarded: Rush) -> Table:
    table = Table()
    table.add_column()
    table.add_column("Unguarded", justify="right")
    table.add_column("Guarded", justify="right")
    for title, value in ROWS:
        table.add_row(title, value(unguarded), value(guarded))
    table.add_section()
    table.add_row("Result", verdict(unguarded), verdict(guarded), style="bold")
    return table


def verdict(rush: Rush) -> str:
    if rush.exact:
        return "exact"
    oversold = rush.sales["oversold"]
    return f"oversold by {oversold}" if oversold else "not exact"


def place(url: str) -> str:
    """An address without its user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def remarks(unguarded: Rush, guarded: Rush) -> list[str]:
    """What the table means, in sentences, and what went wrong, if anything did."""
    sold, tickets = guarded.sales["sold"], guarded.sales["tickets"]
    texts = []
    if unguarded.sales["oversold"]:
        texts.append(f"Without the lock: oversold {unguarded.sales['oversold']}.")
    if guarded.exact:
        texts.append(
            f"With the lock: exactly {sold} sold of {tickets}, to {guarded.buyers} buyers."
        )
    else:
        texts.append(f"With the lock the sale was NOT exact: {sold} sold of {tickets}.")
    texts += [f"An error of the guarded sale: {text}" for text in failed(guarded)[:1]]
    texts += [f"An error of the unguarded sale: {text}" for text in failed(unguarded)[:1]]
    return texts
