"""Modules that lie in the user's current directory are never executed, by no child either."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "warpzone"
pytestmark = pytest.mark.slow

HOSTILE = (
    "click",
    "gymnasium",
    "json",
    "numpy",
    "pip",
    "rich",
    "starlette",
    "torch",
    "typer",
    "uvicorn",
    "warpzone",
)
TINY = shlex.split(
    "--set num_envs=4 --set rollout_steps=8 --set minibatch_size=16 --set eval_episodes=1"
    " --set network.hidden=[16] --set env.no_progress_steps=8 --set device=cpu"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which every module leaves its name in `executed` when it is imported."""
    here = tmp_path / "hostile"
    here.mkdir()
    for name in HOSTILE:
        trap = f"open({str(tmp_path / 'executed')!r}, 'a').write('{name} ')\nraise SystemExit(99)\n"
        (here / f"{name}.py").write_text(trap)
    return here


def run(
    folder: Path, *arguments: str, safe: bool = True, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # What the command `warpzone` does: its script's folder is on the path, not the user's.
        [sys.executable, *(["-P"] if safe else []), "-m", "warpzone", *arguments],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def executed(folder: Path) -> str:
    path = folder.parent / "executed"
    return path.read_text() if path.exists() else ""


def test_the_trap_works(folder: Path) -> None:
    assert run(folder, "--version", safe=False).returncode == 99
    assert executed(folder) == "warpzone "


def test_fetching_a_rom_runs_no_pip_of_the_current_directory(folder: Path) -> None:
    home = folder.parent / "home"
    nowhere = {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "WARPZONE_ROM": ""}
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder.parent)}
    result = run(folder, "rom", environment={**nowhere, **pip})
    assert executed(folder) == ""
    assert result.returncode == 2
    assert "pip could not download" in result.stderr


@pytest.mark.xdist_group("tests/dashboard/test_server.py")  # the same port
def test_a_dashboard_beside_a_training_runs_nothing_of_the_current_directory(
    folder: Path,
) -> None:
    out = folder.parent / "runs" / "run"
    arguments = ["train", "1-1", "--dashboard", "--steps", "32", "--out", str(out), *TINY]
    result = run(folder, *arguments)
    assert executed(folder) == ""
    assert result.returncode == 0, result.stderr
    assert "dashboard: http://" in result.stdout


def test_a_campaign_runs_nothing_of_the_current_directory(folder: Path) -> None:
    out = folder.parent / "campaign"
    arguments = shlex.split(
        "1-1 --hours 0.02 --target 0 --slice-steps 32 --preset tiles --episodes 1 --json"
    )
    result = run(folder, "campaign", *arguments, "--out", str(out), *TINY)
    assert executed(folder) == ""
    assert result.returncode == 0, result.stderr
    assert (out / "1-1" / "config.json").exists()


def test_every_python_that_is_started_is_safe() -> None:
    started, unsafe = 0, []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List) and node.elts:
                words = [ast.unparse(word) for word in node.elts]
                if words[0] == "sys.executable":
                    started += 1
                    if words[1:2] != ["'-P'"]:
                        unsafe.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert started >= 5
    assert unsafe == []
