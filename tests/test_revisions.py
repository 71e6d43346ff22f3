"""Another revision that is built and measured beside this one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from benchmarks import revisions

import warpzone._native as _native
from warpzone.errors import WarpzoneError

# Builds nothing: the target `_native` copies the module of this installation.
CMAKE = """cmake_minimum_required(VERSION 3.22)
project(other NONE)
add_custom_target(_native COMMAND ${{CMAKE_COMMAND}} -E copy "{module}" "${{CMAKE_BINARY_DIR}}")
"""
BENCHMARK = """import json, sys
from pathlib import Path
import torch
import warpzone
out = Path(sys.argv[sys.argv.index("--out") + 1])
out.write_text(json.dumps({"package": warpzone.__file__, "torch": torch.__version__,
                           "options": sys.argv[1:]}))
"""


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@b"]
    line = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits; the benchmark is only in the first."""
    root = tmp_path / "repository"
    (root / "src" / "warpzone").mkdir(parents=True)
    (root / "benchmarks").mkdir()
    (root / "src" / "warpzone" / "__init__.py").touch()
    (root / "benchmarks" / "speed.py").write_text(BENCHMARK)
    (root / "CMakeLists.txt").write_text(CMAKE.format(module=_native.__file__))
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    git(root, "tag", "first")
    git(root, "rm", "--quiet", "benchmarks/speed.py")
    git(root, "commit", "--quiet", "-m", "second")
    return root


def test_another_revision_is_built_once_and_measured_by_its_own_script(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(revisions.ROOT / "src"))
    said: list[str] = []
    kept = tmp_path / "kept"
    built = revisions.build("first", said.append, kept, repository)
    assert built.commit == git(repository, "rev-parse", "first")
    assert len(said) == 1
    out = tmp_path / "speed.json"
    found = built.benchmark("speed", ["--out", str(out)], out)
    assert Path(found["package"]).is_relative_to(built.folder)
    assert found["options"] == ["--out", str(out)]
    assert found["torch"]  # packages are those of this installation
    assert revisions.build(built.commit[:8], said.append, kept, repository) == built
    assert len(said) == 1
    assert (
        git(repository, "status", "--short", "--branch", "--untracked-files=all").count("\n") == 0
    )


def test_what_cannot_be_measured_is_named(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WarpzoneError, match="no revision 'nothing'"):
        revisions.build("nothing", print, tmp_path / "kept", repository)
    built = revisions.build("HEAD", print, tmp_path / "kept", repository)
    with pytest.raises(WarpzoneError, match=r"has no benchmarks/speed\.py"):
        built.benchmark("speed", [], tmp_path / "out.json")
    (repository / "CMakeLists.txt").write_text("project(broken NONE)\nmessage(FATAL_ERROR worn)\n")
    git(repository, "commit", "--quiet", "-am", "third")
    with pytest.raises(WarpzoneError, match="worn"):
        revisions.build("HEAD", print, tmp_path / "kept", repository)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(WarpzoneError, match="no cmake"):
        revisions.build("HEAD", print, tmp_path / "kept", repository)
