"""Parallel runs: how many processes run which tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.parallel import TOGETHER

ROOT = Path(__file__).parents[2]
FILES = 7
TESTS = """
import pytest

def test_short():
    pass

@pytest.mark.long
def test_long():
    pass
"""

MANY = 60
MANY_AND_A_CRASH = f"""
import os, pytest

@pytest.mark.parametrize("number", range({MANY} + 1))
def test_short(number):
    if number == 33:
        os.abort()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long: takes long\n")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.support.parallel"]\n')
    for number in range(FILES):
        (tmp_path / f"test_{number}.py").write_text(TESTS)
    return tmp_path


def run(project: Path, *arguments: str, xdist: bool = True, code: int = 0) -> tuple[int, int, str]:
    """Run pytest there; return how many processes ran how many tests, and the output."""
    plugins = ["-p", "xdist.plugin"] if xdist else []
    environment = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *arguments],
        cwd=project,
        env={**environment, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    processes = re.search(r"(\d+) workers? \[", done.stdout)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    return int(processes[1]) if processes else 0, int(passed[1]), done.stdout


def test_all_tests_but_the_long_ones_run_in_several_processes(project: Path) -> None:
    processes, passed, output = run(project)
    assert (processes, passed) == (2, FILES)
    assert f"{FILES} long tests were left out. --long runs them, too" in output


def test_long_tests_run_with_the_option_long(project: Path) -> None:
    processes, passed, output = run(project, "--long")
    assert (processes, passed) == (2, 2 * FILES)
    assert "left out" not in output


@pytest.mark.parametrize("argument", ["-n0", "-s", "--pdb", "--setup-show"])
def test_tests_run_in_one_process_on_request(project: Path, argument: str) -> None:
    assert run(project, argument)[:2] == (0, FILES)


def test_tests_run_in_one_process_without_xdist(project: Path) -> None:
    processes, passed, output = run(project, xdist=False)
    assert (processes, passed) == (0, FILES)
    assert f"{FILES} long tests were left out" in output


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (["test_0.py"], 1),
        (["test_0.py::test_long"], 1),
        (["test_0.py", "-m", "long"], 1),
        (["test_0.py", "test_1.py", "--long"], 4),
    ],
    ids=["a file", "a test", "its long ones", "two files"],
)
def test_few_tests_run_in_one_process(project: Path, arguments: list[str], number: int) -> None:
    assert run(project, *arguments)[:2] == (0, number)


def test_a_test_that_crashes_its_process_fails_and_the_others_run(project: Path) -> None:
    """By then the process has run some tests, and was given more."""
    (project / "test_0.py").write_text(MANY_AND_A_CRASH)
    _, passed, output = run(project, "-p", "no:faulthandler", code=1)
    assert (passed, "1 failed" in output) == (MANY + FILES - 1, True)


def test_the_number_of_processes_can_be_given(project: Path) -> None:
    assert run(project, "-n", "1", "test_0.py")[:2] == (1, 1)


def test_the_paths_that_stay_together_exist() -> None:
    assert [path for path in TOGETHER if not (ROOT / path).exists()] == []


def test_bytecode_is_kept_for_the_processes_that_follow(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "test_0.py").write_text(
        "import sys, test_1\n\ndef test_short():\n    assert not sys.dont_write_bytecode\n"
    )
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    run(project)
    assert [*project.glob("__pycache__/test_1.*.pyc")]
