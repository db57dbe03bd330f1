"""Table at the end, for results that runs in tests do not have."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from example_project.demo import report
from example_project.demo.sales import Sale


def a_sale(
    *, tickets: int = 10, sold: int = 10, stock: int = 0, results: dict[str, int] | None = None
) -> Sale:
    results = results or {"sold": 10, "sold_out": 10}
    sales = {"tickets": tickets, "sold": sold, "stock": stock, "oversold": max(0, sold - tickets)}
    failed = sum(count for result, count in results.items() if not result.startswith("sold"))
    rush = {
        "buyers": sum(results.values()),
        "seconds": 1.5,
        "told": results,
        "busy": 0,
        "processes": 1,
        "failed": failed,
        "failure": "status 503" if failed else "",
    }
    return Sale(sales, rush)


@pytest.mark.parametrize(
    "sale",
    [
        a_sale(sold=11),
        a_sale(sold=9, stock=1),
        a_sale(stock=1),
        a_sale(results={"sold": 10, "sold_out": 9, "busy": 1}),
        a_sale(results={"sold": 9, "sold_out": 11}),
        a_sale(results={"sold": 10, "sold_out": 9, "error": 1}),
    ],
    ids=["oversold", "undersold", "stock left", "busy", "told wrongly", "error"],
)
def test_a_sale_is_exact_only_if_all_the_figures_agree(sale: Sale) -> None:
    assert a_sale().exact
    assert not sale.exact


def test_the_table_fits_80_columns_with_large_numbers() -> None:
    sale = a_sale(tickets=10, sold=20_000_000, results={"sold": 20_000})
    output = io.StringIO()

    Console(file=output, width=80).print(report.result_table(sale, sale))

    assert "oversold by 19999990" in output.getvalue()
    assert max(map(len, output.getvalue().splitlines())) <= 80


def test_an_error_is_reported() -> None:
    broken = a_sale(results={"sold": 10, "sold_out": 9, "error": 1})

    assert any("NOT exact" in text for text in report.remarks(a_sale(sold=20), broken))
    assert any("Error in the guarded sale" in text for text in report.remarks(broken, broken))


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


def test_every_page_has_an_address(settings: Any) -> None:
    settings.ROOT_URLCONF = "example_project.urls"
    pages = dict(report.addresses("http://127.0.0.1:8000"))

    assert pages["Ticket office"] == "http://127.0.0.1:8000/"
    assert pages["Hot names"] == "http://127.0.0.1:8000/admin/django_redislock/lock/hot/"
