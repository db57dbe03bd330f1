"""Addresses of the project, which pyproject.toml defines, and links to them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .pages import PAGES, ROOT, URLS, anchors_of, name_of, prose_of

SOURCE, SITE = URLS["Source"], URLS["Documentation"]
README = ROOT / "README.md"
FILES = [
    *PAGES,
    *sorted((ROOT / ".github").rglob("*.yml")),
    ROOT / "docs" / "conf.py",
    ROOT / "pyproject.toml",
]

ADDRESS = re.compile(r"https?://[^\s<>()\[\]\"'`]+")
OURS = re.compile(r"django.?redislock", re.IGNORECASE)
# Pages of the repository that are not files.
FORGE = ("", "/commits/main", "/issues", "/security/advisories/new")
# GitHub and Sphinx make the same anchor only for headings as simple as these.
SIMPLE = re.compile(r"[a-z]+(-[a-z]+)*")


def is_alive(address: str) -> bool:
    """Whether the address is one of the project, and its target is in the checkout."""
    place, _, anchor = address.partition("#")
    if place.startswith(SITE):
        name = place.removeprefix(SITE).removeprefix("en/latest/")
        page = ROOT / "docs" / f"{name.removesuffix('.html') or 'index'}.md"
        is_page = name in ("", page.with_suffix(".html").name) and page.exists()
        return is_page and (not anchor or is_heading(anchor, page))
    if not re.match(rf"{re.escape(SOURCE)}(/|$)", place):
        return False
    rest = place.removeprefix(SOURCE)
    if found := re.fullmatch(r"/(blob|raw)/main/(.+)", rest):
        file = ROOT / found[2]
        return file.is_file() and (not anchor or is_heading(anchor, file))
    return rest in FORGE and not anchor


def is_heading(anchor: str, page: Path) -> bool:
    return SIMPLE.fullmatch(anchor) is not None and anchor in anchors_of(page)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_links_to_the_project_lead_to_existing_pages(file: Path) -> None:
    ours = [one.rstrip(".,:;") for one in ADDRESS.findall(file.read_text()) if OURS.search(one)]
    assert [one for one in ours if not is_alive(one)] == []


def test_the_readme_has_no_relative_link() -> None:
    """The README is also the page on PyPI, where relative links are dead."""
    text = prose_of(README)
    targets = [
        *re.findall(r"\]\(([^)]*)\)", text),
        *re.findall(r"^\[[^\]]+\]: (.*)$", text, re.MULTILINE),
        *re.findall(r"\b(?:src|srcset|href)=\"([^\"]*)\"", text),
    ]
    assert len(targets) > 10
    assert [one for one in targets if not one.startswith(("https://", "#"))] == []


def test_the_readme_defines_each_of_its_links() -> None:
    text = prose_of(README)
    named = re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE)
    used = re.findall(r"(?:\[[^\]]+\])?\[([^\]]+)\](?![\[(:])", text)
    assert set(used) == set(named)
    assert len(named) == len(set(named))


def test_dead_links_are_found() -> None:
    for address in (
        SITE,
        f"{SITE}en/latest/locks.html#how-many",
        SOURCE,
        f"{SOURCE}/blob/main/CONTRIBUTING.md#run-test-lint",
        f"{SOURCE}/issues",
    ):
        assert OURS.search(address)
        assert is_alive(address)
    for address in (
        f"{SITE}en/latest/locks.html#how-few",
        f"{SITE}en/latest/keys.html",
        f"{SITE}locks.md",
        f"{SOURCE}/blob/main/NOWHERE.md",
        f"{SOURCE}/tree/main/docs",
        f"{SOURCE}s",
        SOURCE.replace("https", "http"),
        SOURCE.replace("github.com/", "github.com/fork-of-"),
        SITE.replace("://", "://old-"),
    ):
        assert OURS.search(address)
        assert not is_alive(address)
