"""What tests of the command line share."""

from __future__ import annotations

import re
from pathlib import Path
from unittest import mock

from typer.testing import CliRunner, Result

from warpzone.cli.app import app
from warpzone.cli.options import EXIT_ERROR
from warpzone.training import network_registry

COMMANDS = (
    "train", "campaign", "fleet", "dashboard", "watch", "record", "replay", "report", "map", "eval",
    "play", "levels", "bench", "doctor", "rom", "push", "export", "track",
)  # fmt: skip


def run(*arguments: str | Path) -> Result:
    """A command as if in a process of its own: networks that it names are not known after it."""
    with mock.patch.dict(network_registry._named):
        return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def plain(text: str) -> str:
    """Without colours and line breaks, which depend on the terminal."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def error_of(*arguments: str | Path) -> str:
    """The message of a command that a user got wrong; it must not be a traceback."""
    result = run(*arguments)
    assert result.exit_code == EXIT_ERROR, result.output
    assert "Traceback" not in result.output
    return plain(result.output)
