"""The table at the end, for results that a run in a test does not have."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from example_project.demo import report
from example_project.demo.buyers import Answer, Rush


def a_rush(
    *, tickets: int = 10, sold: int = 10, stock: int = 0, results: dict[str, int] | None = None
) -> Rush:
    results = results or {"sold": 10, "sold_out": 10}
    answers = [Answer(result, pid=1) for result, count in results.items() for _ in range(count)]
    sales = {"tickets": tickets, "sold": sold, "stock": stock, "oversold": max(0, sold - tickets)}
    return Rush(len(answers), 1.5, answers, sales)


@pytest.mark.parametrize(
    "rush",
    [
        a_rush(sold=11),
        a_rush(sold=9, stock=1),
        a_rush(stock=1),
        a_rush(results={"sold": 10, "sold_out": 9, "busy": 1}),
        a_rush(results={"sold": 9, "sold_out": 11}),
        a_rush(results={"sold": 10, "sold_out": 9, "error": 1}),
    ],
    ids=["oversold", "undersold", "stock left", "busy", "told wrongly", "error"],
)
def test_a_sale_is_exact_only_if_all_the_figures_agree(rush: Rush) -> None:
    assert a_rush().exact
    assert not rush.exact


def test_the_table_fits_80_columns_with_large_numbers() -> None:
    rush = a_rush(tickets=10, sold=20_000_000, results={"sold": 20_000})
    output = io.StringIO()

    Console(file=output, width=80).print(report.result_table(rush, rush))

    assert "oversold by 19999990" in output.getvalue()
    assert max(map(len, output.getvalue().splitlines())) <= 80


def test_an_error_is_told() -> None:
    broken = a_rush(results={"sold": 10, "sold_out": 9, "error": 1})

    assert any("NOT exact" in text for text in report.remarks(a_rush(sold=20), broken))
    assert any("An error of the guarded sale" in text for text in report.remarks(broken, broken))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@h:6379/0?password=secret", "redis://h:6379/0"),
        ("postgres://ada:secret@h/tickets", "postgres://h/tickets"),
        ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/1"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert report.place(url) == shown
