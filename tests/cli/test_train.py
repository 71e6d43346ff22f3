"""`warpzone train`: what it refuses before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.commands import error_of

from warpzone.cli.train import run_name
from warpzone.smb.levels import LEVELS


def test_train_into_a_used_directory(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    text = error_of("train", "1-1", "--out", tmp_path)
    assert "--resume" in text
    assert "another --out" in text
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_train_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    assert "it is a file" in error_of("train", "1-1", "--out", tmp_path / "run")


def test_resume_of_nothing(tmp_path: Path) -> None:
    text = error_of("train", "1-1", "--resume", "--out", tmp_path / "run")
    assert "leave out --resume" in text


@pytest.mark.parametrize("level", ["1-5", "9-1", "0-1", "one", "1-1,1-9", ""])
def test_unknown_level(level: str, tmp_path: Path) -> None:
    text = error_of("train", level, "--out", tmp_path / "run")
    assert "1-1" in text
    assert "8-4" in text


def test_unknown_setting(tmp_path: Path) -> None:
    out = tmp_path / "run"
    text = error_of("train", "1-1", "--out", out, "--set", "gae_lamda=0.9")
    assert "Did you mean gae_lambda?" in text
    assert not out.exists()


def test_setting_out_of_range(tmp_path: Path) -> None:
    out = tmp_path / "run"
    text = error_of("train", "1-1", "--out", out, "--set", "gamma=1.5")
    assert "gamma" in text
    assert "1.5" in text
    assert not out.exists()


def test_default_run_directory() -> None:
    assert run_name({"1-1": 1.0}) == "1-1"
    assert run_name({"1-1": 1.0, "1-2": 2.0}) == "1-1+1-2"
    assert run_name(dict.fromkeys(LEVELS[:7], 1.0)) == "7-levels"
    assert run_name(dict.fromkeys(LEVELS, 1.0)) == "all"
