"""Code of the documentation in a project of a new user.

Marked blocks run by themselves (`test_runnable.py`). The others need a model, a view or a task.
Here they are put into the files that the pages name, or run with the objects that the text names.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

from tests.testing.projects import SETTINGS, Project

from .pages import BLOCKS, ROOT, Block, name_of

UNMARKED = [block for block in BLOCKS if block.language == "python" and not block.mark]

# The objects that the text around the blocks of a page names.
AROUND = {
    "docs/models.md": """
from django.db import models, transaction
from django_redislock import LockableMixin, locked_method
from shop.models import Account
account = Account.objects.create(pk=7, balance=20)
Account.objects.create(pk=3)
""",
    "docs/locks.md": """
from unittest.mock import Mock
from celery import shared_task
from django.db import transaction
from django_redislock import LockLost, lock
from shop.models import Account
pk = Account.objects.create().pk
work_out = int
import_feed = Mock()
""",
    "docs/admin.md": "from django.contrib.admin import AdminSite; my_site = AdminSite(name='my')",
    "docs/metrics.md": "",
    "docs/views.md": "from django_redislock import lock, locked_view",
}
# Pages whose blocks are run by other tests, or show code of other libraries.
ELSEWHERE = {
    "docs/example.md": "test_the_code_on_the_page_of_the_example_is_that_of_the_example",
    "docs/frozen-time.md": "tests/testing/test_documentation.py",
    "docs/migrating.md": "",
    "docs/recipes.md": "tests/docs/test_recipes.py",
    "docs/tasks.md": "tests/tasks/recipes.py",
    "docs/testing.md": "tests/testing/test_documentation.py",
    "docs/withlock.md": "tests/commands/test_locked_command.py",
}

TESTS = """
import json
from pathlib import Path

import pytest
from django.test.utils import isolate_apps

BLOCKS = json.loads(Path(__file__).with_name("blocks.json").read_text())


@pytest.mark.parametrize("around, where, code", BLOCKS)
def test_block(around, where, code, locks, transactional_db):
    names = {"__name__": "shop.models"}
    exec(around, names)
    with isolate_apps("shop"):  # a block may have an Account of its own
        exec(compile(code, where, "exec"), names)


def test_what_the_pages_promise(client, locks, transactional_db):
    from django_redislock import lock
    from shop.models import Account

    account = Account.objects.create(balance=10)
    account.withdraw(3)
    assert Account.objects.get().balance == 7
    assert account.fence > 0
    with lock("event:1"):
        assert client.get("/book/1/").status_code == 423
    assert client.get("/book/1/").content.startswith(b"Booked with fence ")
    assert client.get("/buy/1/").content == b"Buy?"
    assert client.post("/buy/1/").content == b"Bought"
"""

MORE_SETTINGS = """
INSTALLED_APPS += ["django.contrib." + app for app in ("admin", "auth", "contenttypes", "messages")]
INSTALLED_APPS += ["shop"]
ROOT_URLCONF = "shop.urls"
"""

URLS = """
from django.urls import path
from shop import views

urlpatterns = [path("book/<int:event_id>/", views.book), path("buy/<int:event_id>/", views.buy)]
"""


def blocks_of(page: str) -> list[Block]:
    return [block for block in UNMARKED if name_of(block.page) == page]


def test_the_code_of_every_page_is_run_by_a_test() -> None:
    assert {name_of(block.page) for block in UNMARKED} == AROUND.keys() | ELSEWHERE.keys()
    for by in ELSEWHERE.values():
        assert by in globals() or (ROOT / by).exists()


def test_the_code_of_the_pages_runs_in_a_new_project(tmp_path: Path) -> None:
    project = Project(tmp_path, SETTINGS + MORE_SETTINGS)
    (tmp_path / "shop").mkdir()
    models, *_ = blocks_of("docs/models.md")
    views, *_ = blocks_of("docs/views.md")
    for name, text in [("__init__", ""), ("models", models.code), ("views", views.code)]:
        project.write(f"shop/{name}.py", text)
    project.write("shop/urls.py", URLS)
    project.write("test_pages.py", TESTS)
    run = [
        (around, str(block), block.code)
        for page, around in AROUND.items()
        for block in blocks_of(page)
    ]
    project.write("blocks.json", json.dumps(run))
    outcome = project.pytest()
    assert (outcome.code, len(outcome.names("PASSED"))) == (0, len(run) + 1), outcome.text


def bare(code: str) -> ast.FunctionDef:
    """The function ``sell_guarded`` of a source, without its docstring and its types."""
    (function,) = (
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef) and node.name == "sell_guarded"
    )
    function.returns = None
    for argument in function.args.args:
        argument.annotation = None
    if ast.get_docstring(function):
        del function.body[0]
    return function


def test_the_code_on_the_page_of_the_example_is_that_of_the_example() -> None:
    (block,) = blocks_of("docs/example.md")
    source = (ROOT / "example_project" / "tickets" / "models.py").read_text()
    assert ast.dump(bare(block.code)) == ast.dump(bare(source))
