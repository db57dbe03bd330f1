"""Documentation site: its order, its API reference, and its links."""

from __future__ import annotations

import re
import runpy
from types import SimpleNamespace

import pytest

import django_redislock

from .pages import ROOT, URLS

DOCS = ROOT / "docs"
SECTIONS = ["Tutorial", "How-to", "Reference", "Explanation", "Operations"]


@pytest.fixture(scope="session")
def site() -> SimpleNamespace:
    """The settings of the site, executed as Sphinx does."""
    return SimpleNamespace(**runpy.run_path(str(DOCS / "conf.py")))


def test_the_site_has_the_order_of_the_index(site: SimpleNamespace) -> None:
    contents = site.contents((DOCS / "index.md").read_text())
    assert re.findall(r"^:caption: (.+)$", contents, re.MULTILINE) == SECTIONS
    pages = re.findall(r"^([\w-]+)$", contents, re.MULTILINE)
    assert sorted(pages) == sorted(page.stem for page in DOCS.glob("*.md") if page.stem != "index")


def test_the_reference_has_every_public_name() -> None:
    text = (DOCS / "reference.md").read_text()
    described = set(re.findall(r"^\.\. auto\w+:: (\w+)", text, re.MULTILINE))
    errors = {"InvalidLockBackend", "LockMisuse"}  # from django_redislock.exceptions
    assert described == {*django_redislock.__all__, *errors}


def test_a_file_outside_the_site_is_linked_in_the_repository(site: SimpleNamespace) -> None:
    page = "See [the rules](../CONTRIBUTING.md) and [locks](locks.md#names)."
    assert site.with_outside_links(page) == (
        f"See [the rules]({URLS['Source']}/blob/main/CONTRIBUTING.md) and [locks](locks.md#names)."
    )
