from __future__ import annotations

import pytest

from tests.commands.command_line import CommandLine


@pytest.fixture
def manage(key_prefix: str) -> CommandLine:
    """The command line of a server that shares the locks of the test."""
    return CommandLine(key_prefix)
