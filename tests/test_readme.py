"""What the READMEs promise holds: their commands and files exist. `test_docs` runs their code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.commands import COMMANDS

ROOT = Path(__file__).parents[1]


@pytest.fixture(params=["README.md", "README.zh-CN.md"])
def readme(request: pytest.FixtureRequest) -> str:
    return (ROOT / str(request.param)).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_begins_with_the_line_that_does_everything_and_the_line_that_checks(readme: str) -> None:
    first, second = blocks(readme, "sh")[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert "pip install '.[all]'" in first
    assert "warpzone train 1-1 --watch" in first
    assert second == "sh scripts/check.sh\n"
    assert (ROOT / "scripts" / "check.sh").is_file()


def test_commands_exist(readme: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", readme, flags=re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"`warpzone (\w+)", prose))
    assert named == set(COMMANDS)


def test_files_exist(readme: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert targets
    for target in targets:
        assert (ROOT / target).is_file(), target
