"""Translations of all texts for users."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from gettext import GNUTranslations
from pathlib import Path

import pytest

import django_redislock

PACKAGE = Path(django_redislock.__file__).parent
LANGUAGES = sorted(path.name for path in (PACKAGE / "locale").iterdir())
CALLS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
HOLES = re.compile(r"%\((\w+)\)[sd]|\{(\w+)\}")


def messages() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            text = node.args[0] if node.func.id in CALLS and node.args else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield text.value
    for path in PACKAGE.rglob("*.html"):
        yield from re.findall(r'{% translate "([^"]*)"', path.read_text())


def catalog(language: str) -> dict[str, list[str]]:
    """The translations of each message, of which there are several with a plural."""
    path = PACKAGE / "locale" / language / "LC_MESSAGES" / "django.mo"
    with path.open("rb") as file:
        entries = GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    found: dict[str, list[str]] = {}
    for key, value in entries.items():
        found.setdefault(key[0] if isinstance(key, tuple) else key, []).append(value)
    found.pop("")
    return found


def test_there_are_four_translations() -> None:
    assert LANGUAGES == ["de", "es", "fr", "zh_Hans"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_untranslated(language: str) -> None:
    assert sorted(set(messages()) - set(catalog(language))) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_languages_have_the_same_messages(language: str) -> None:
    assert set(catalog(language)) == set(catalog("de"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_have_the_same_placeholders(language: str) -> None:
    for message, texts in catalog(language).items():
        wanted = set(HOLES.findall(message))
        # "This lock" has no number where "these 3 locks" has one.
        optional = {("count", ""), ("counter", "")}
        for text in texts:
            assert text
            assert set(HOLES.findall(text)) - optional == wanted - optional, message


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_messages_are_up_to_date(language: str) -> None:
    folder = PACKAGE / "locale" / language / "LC_MESSAGES"
    written = (folder / "django.po").read_text()
    unquoted = re.sub(r'"\n"', "", written)
    assert "fuzzy" not in written
    for texts in catalog(language).values():
        for text in texts:
            assert f'"{text}"' in unquoted
