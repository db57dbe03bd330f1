"""Settings of the documentation site: ``python -m sphinx -W --keep-going docs docs/_build``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.conf import settings

import django_redislock

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # Sphinx brings it

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# The docstrings of models and views can be read only where Django is set up.
if not settings.configured:
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_redislock"]
    )
    django.setup()

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
URLS = tomllib.loads(PYPROJECT.read_text())["project"]["urls"]
REPOSITORY = f"{URLS['Source']}/blob/main/"

project = "django_redislock"
author = "django_redislock contributors"
copyright = author
version = release = django_redislock.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]

myst_heading_anchors = 4  # as on GitHub, so that one link leads to the same heading in both places
copybutton_prompt_text = "$ "

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say in words what an argument may be
add_module_names = False

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": True,
    "source_repository": URLS["Source"],
    "source_branch": "main",
    "source_directory": "docs/",
}

SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
LISTED = re.compile(r"^\* \[[^\]]+\]\(([\w-]+)\.md\)", re.MULTILINE)
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([\w./-]+)\)")


def contents(index: str) -> str:
    """The tables of contents that say what the lists of ``index.md`` say.

    The page stays an ordinary one for those who read it in the repository.
    """
    _, *parts = SECTION.split(index)
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(pages) + "\n```\n"
        for title, text in zip(parts[::2], parts[1::2], strict=True)
        if (pages := LISTED.findall(text))
    )


def with_outside_links(page: str) -> str:
    """The page with links into the repository for files that the site has not."""
    return OUTSIDE.sub(rf"[\1]({REPOSITORY}\2)", page)


def prepare(app: Sphinx, name: str, source: list[str]) -> None:
    """Make a page of the repository one of the site."""
    if name == "index":
        source[0] += contents(source[0])
    source[0] = with_outside_links(source[0])


def signature_of(
    app: Sphinx,
    what: str,
    name: str,
    one: object,
    options: object,
    arguments: str | None,
    returns: str,
) -> tuple[str, str] | None:
    """None for classes: functions make their objects, or projects derive from them.

    Methods take ``**unknown`` only to refuse it with a hint.
    """
    if what in {"class", "exception"}:
        return "", ""
    return (arguments.replace(", **unknown", ""), returns) if arguments else None


def setup(app: Sphinx) -> None:
    app.connect("source-read", prepare)
    app.connect("autodoc-process-signature", signature_of)
