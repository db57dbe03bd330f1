"""Translations of all texts for users."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from gettext import GNUTranslations
from pathlib import Path

import pytest
from django.utils.translation.template import templatize

import django_redislock

PACKAGE = Path(django_redislock.__file__).parent
LANGUAGES = sorted(path.name for path in (PACKAGE / "locale").iterdir())
CALLS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
IN_TEMPLATES = re.compile(r"""gettext\(u('[^']*'|"[^"]*")""")
HOLES = re.compile(r"%\((\w+)\)[sd]|\{(\w+)\}")


def calls(node: ast.AST) -> Iterator[ast.Call]:
    """The calls that ``makemessages`` finds: it does not look into f-strings."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child
        if not isinstance(child, ast.JoinedStr):
            yield from calls(child)


def messages() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        for call in calls(ast.parse(path.read_text())):
            if not isinstance(call.func, ast.Name) or call.func.id not in CALLS:
                continue
            if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
                yield call.args[0].value
    for path in PACKAGE.rglob("*.html"):
        for text in IN_TEMPLATES.findall(templatize(path.read_text())):
            yield ast.literal_eval(text)


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
def test_every_message_is_translated_and_no_other(language: str) -> None:
    assert sorted(catalog(language)) == sorted(set(messages()))


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
