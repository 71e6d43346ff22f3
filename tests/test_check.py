"""scripts/check.sh: its quick tier, and that CI runs the same line as everybody else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECK = ROOT / "scripts" / "check.sh"


def test_what_the_quick_tier_runs_is_there() -> None:
    names = (ROOT / "tests" / "quick.txt").read_text().split()
    paths = [name.removeprefix("--ignore=") for name in names]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert "tests/quick.txt" in CHECK.read_text()


@pytest.mark.skipif(not Path("/bin/sh").exists(), reason="a script of POSIX")
def test_an_option_that_is_not_there_is_refused() -> None:
    done = subprocess.run(["sh", str(CHECK), "--fast"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is only --quick, not --fast" in done.stderr


def test_ci_runs_the_readmes_second_line() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.S | re.M)
    assert blocks[1].strip() == "sh scripts/check.sh"
    last = (ROOT / ".ci" / "run").read_text().strip().splitlines()[-1]
    assert last == f"exec {blocks[1].strip()}"
