"""The room as a whole: short enough for one sitting, and without a game in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import warpzone.ppo

FILES = sorted(Path(warpzone.ppo.__file__).parent.glob("*.py"))


def test_it_is_read_in_one_sitting() -> None:
    assert len(FILES) == 6
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES) < 600


def test_it_imports_nothing_that_knows_a_game_or_a_run() -> None:
    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("warpzone"):
                found.add(node.module)
    allowed = {"warpzone", "warpzone.errors", "warpzone.extras", "warpzone.noise", "warpzone.ppo"}
    assert found == allowed | {f"warpzone.ppo.{path.stem}" for path in FILES} & found


def test_it_has_no_mario_in_it() -> None:
    words = re.compile(r"mario|\bflag\b|\bnes\b|tiles|level(?!\))", re.IGNORECASE)
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if path.name == "__init__.py":
            text = text.partition("Knows no")[0]
        assert words.findall(text) == [], path.name
