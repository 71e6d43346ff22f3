"""From arguments to what they name."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.commands import error_of

from warpzone.cli.choose import split_level


def test_the_last_of_several_arguments_may_be_the_level(tmp_path: Path) -> None:
    def split(*arguments: str) -> tuple[list[str], str | None]:
        paths, level = split_level([Path(argument) for argument in arguments])
        return [str(path) for path in paths], level

    run = str(tmp_path)
    assert split("1-1") == (["1-1"], None)
    assert split("1-1", "1-2") == (["1-1"], "1-2")
    assert split(run, "1-2") == ([run], "1-2")
    assert split(run, run) == ([run, run], None)
    assert split("1-1", run, "1-2") == (["1-1", run], "1-2")
    assert split("a.safetensors", "b.safetensors") == (["a.safetensors", "b.safetensors"], None)


@pytest.mark.parametrize("command", ["record", "eval"])
def test_missing_agent(command: str, tmp_path: Path) -> None:
    text = error_of(command, tmp_path / "nowhere")
    assert "nowhere" in text
    assert "warpzone train" in text
