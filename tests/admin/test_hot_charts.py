"""Charts of the page of hot names: the last hour, and its last minutes one by one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from django_redislock import lock_backends
from django_redislock.figures import hour
from django_redislock.figures.tallies import MINUTE, SLOT, Tally, last_hour, last_minutes
from tests.admin.figures import HOT, count
from tests.admin.pages import page, rows

pytestmark = pytest.mark.django_db


def figure(html: str, title: str) -> str:
    """The chart with this title."""
    return next(
        one.partition("</figure>")[0] for one in html.split("<figure")[1:] if f">{title}<" in one
    )


def texts(svg: str) -> list[str]:
    """The texts of a chart that are not empty."""
    return list(re.findall(r"<text[^>]*>([^<]+)</text>", svg))


# A minute in the middle of its slot, seconds since 1970: two minutes of the slot have begun.
NOW = 6_000_000 * SLOT + MINUTE


@pytest.fixture
def clock(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that sets the clock of the memory backend, the only one, relative to ``NOW``."""
    settings.LOCKS = {"default": settings.LOCKS["memory"]}

    def set_to(seconds: float) -> None:
        monkeypatch.setattr(hour, "wall_time", lambda: NOW + seconds)

    set_to(0)
    return set_to


def drawn(chart: str) -> list[tuple[int, int, int, str]]:
    """The bars of a chart that have a height: their starts, widths, heights and kinds."""
    bars = re.findall(
        r'<rect x="(\d+)\.5" y="\d+" width="(\d+)" height="(\d+)" class="redislock-(\w+)"', chart
    )
    return [(int(x), int(w), int(h), kind) for x, w, h, kind in bars if h != "0"]


def test_the_chart_has_a_scale_and_its_bars_have_figures(admin_client: Client, clock: Any) -> None:
    clock(-SLOT * 3)
    count("a", waits=[0.01] * 130, busy=100)
    clock(-SLOT * 2)
    count("a", waits=[0.01] * 7)
    clock(0)
    chart = figure(page(admin_client, HOT), "Per minute")
    assert texts(chart) == ["60", "30", "0", "46", "1.4"]


def test_the_chart_shows_each_slot_in_proportion(admin_client: Client, clock: Any) -> None:
    clock(-SLOT * 3)
    count("a", waits=[0.01] * 15, busy=5)
    clock(0)
    chart = figure(page(admin_client, HOT), "Per minute")
    assert drawn(chart) == [(90, 9, 75, "acquired"), (90, 9, 25, "busy")]
    assert "0, 15, 0, 0, 0. In the last minutes: 0, 0" in chart
    assert "15 acquired, 5 busy" in chart


def test_the_last_minutes_are_finer_than_the_hour(admin_client: Client, clock: Any) -> None:
    """The same rate makes bars of the same height, whether for one minute or for five."""
    clock(-SLOT * 2)
    count("a", waits=[0.01] * 20)
    for ago, acquired in ((5, 1), (1, 2), (0, 4)):
        clock(-ago * MINUTE)
        count("a", waits=[0.01] * acquired)
    html = page(admin_client, HOT)
    chart = figure(html, "Per minute")
    assert drawn(chart) == [
        (100, 9, 100, "acquired"),
        (114, 3, 25, "acquired"),
        (130, 3, 50, "acquired"),
        (134, 3, 100, "acquired"),
    ]
    # Eleven slots, the minutes of the slot before the current one, and those that have begun.
    assert chart.count("<title>") == 11 + 5 + 2
    assert "20, 1, 6. In the last minutes: 0, 1, 0, 0, 0, 2, 4" in chart
    longest = "M105 50h0M116 50h0M132 50h0M136 50h0"
    assert f'"{longest}" class="redislock-longest"' in figure(html, "Wait time")


def test_minutes_of_servers_whose_clocks_differ_add_up(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for alias, start in (("default", NOW), ("memory", NOW - 7 * SLOT)):
        tally = Tally(acquired=1)
        backend = lock_backends[alias]
        slots = last_hour(start // SLOT, {start // SLOT: {"a": tally}})
        monkeypatch.setattr(backend, "tallies", lambda slots=slots: slots)
        minutes = last_minutes(start, {start // MINUTE: tally})
        monkeypatch.setattr(backend, "minutes", lambda minutes=minutes: minutes)
    assert "In the last minutes: 0, 0, 0, 0, 0, 0, 2" in page(admin_client, HOT)


def test_the_waits_are_lines_on_a_scale_of_magnitudes(admin_client: Client, clock: Any) -> None:
    count("a", waits=[0.01] * 60 + [0.1] * 39 + [100])
    chart = figure(page(admin_client, HOT), "Wait time")
    paths = dict(re.findall(r'<path d="(M[^"]*)" class="redislock-(\w+)"/>\s', chart))
    places = {line: path for path, line in paths.items() if line != "grid"}
    # Each line has figures of one minute, the seventh of those that are shown.
    assert places["longest"] == "M136 0h0"
    # A line needs two ends to be seen.
    assert places["median"].startswith("M135 ")
    assert places["median"].endswith("h2")
    heights = {line: int(path.split()[1].partition("h")[0]) for line, path in places.items()}
    assert heights["longest"] < heights["p95"] < heights["median"] < 100
    assert texts(chart) == ["100 s", "10 s", "1 s", "100 ms", "10 ms", "1 ms"]
    assert "max 1 min 40 s" in chart
    assert chart.count("no waits") == 11 + 6
    assert "none, none" in chart


def test_without_waits_there_are_no_lines(admin_client: Client) -> None:
    count("a", busy=1)
    html = page(admin_client, HOT)
    assert figure(html, "Wait time").count('d=""') == 3
    assert "No attempt has waited." in html


def test_the_chart_is_the_same_in_all_languages(admin_client: Client, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    settings.USE_THOUSAND_SEPARATOR = True
    count("a", waits=[0.01] * 1500, busy=1)
    html = page(admin_client, HOT)
    assert rows(html)[0][2] == "1.500"
    assert "2.000" in texts(figure(html, "Pro Minute"))
    for svg in re.findall(r"<figure.*?</figure>", html, re.DOTALL):
        for number in re.findall(r' (?:x|y|width|height)="([^"]*)"', svg):
            assert re.fullmatch(r"\d+(?:\.\d{1,2})?%?", number), number
