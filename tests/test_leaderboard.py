"""The leaderboard: rows that are whole, newest first, with commits that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "leaderboard.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| \d.*\|$", re.MULTILINE)
ROWS = [[cell.strip() for cell in row.strip("|").split("|")] for row in _ROW.findall(PAGE)]


def test_rows_are_whole_and_newest_first() -> None:
    heading = next(line for line in PAGE.splitlines() if line.startswith("| training"))
    assert len(ROWS) >= 5
    for row in ROWS:
        assert len(row) == heading.count("|") - 1
        assert all(row)
        training, command, steps, seeds, date, *_ = row
        assert re.fullmatch(r"\d+(\.\d)?( \([\d.]+–[\d.]+\))?", training)
        assert re.fullmatch(r"–|\d+(\.\d)? \([\d.]+–[\d.]+\)", command)
        assert re.fullmatch(r"\d\.\d\d M( \(\d\.\d\d–\d\.\d\d\))?", steps)
        assert int(seeds) >= 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", date)
    dates = [row[4] for row in ROWS]
    assert dates == sorted(dates, reverse=True)


def test_commits_exist() -> None:
    shallow = ["git", "-C", str(ROOT), "rev-parse", "--is-shallow-repository"]
    done = subprocess.run(shallow, capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stdout.strip() != "false":
        pytest.skip("no git repository with its whole history")
    for row in ROWS:
        name = ["git", "-C", str(ROOT), "cat-file", "-e", f"{row[5]}^{{commit}}"]
        assert subprocess.run(name, check=False).returncode == 0, row[5]
