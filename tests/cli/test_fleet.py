"""What `warpzone fleet` refuses before it begins anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.support.commands import error_of

from warpzone.fleet import cluster
from warpzone.fleet.fleet import begin
from warpzone.fleet.plan import make_plan


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "which levels"),
        (("9-9",), "9-9"),
        (("1-1", "--interval", "5"), "--interval is for --pbt"),
        (("1-1", "--together"), "several levels"),
        (("1-1", "--grid", "lr"), "not of the form"),
        (("1-1", "--resume"), "leave out LEVELS"),
        (("--resume", "--seeds", "2", "--set", "lr=1"), "leave out --seeds, --set"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    assert told in error_of("fleet", *arguments, "--out", tmp_path / "fleet")
    assert not (tmp_path / "fleet").exists()


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    text = error_of("fleet", "1-1", "--out", tmp_path / "fleet")
    assert "pip install 'warpzone[ray]'" in text
    assert not (tmp_path / "fleet").exists()


def test_what_a_fleet_goes_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "require_ray", lambda address=None: None)
    assert "holds no fleet" in error_of("fleet", "--resume", "--out", tmp_path)
    begin(make_plan(["1-1"], threads=2), tmp_path / "fleet")
    told = error_of("fleet", "--resume", "--out", tmp_path / "fleet", "--jobs", "1")
    assert "give --jobs 2 or more" in told
    told = error_of("fleet", "1-1", "--out", tmp_path / "fleet")
    assert "warpzone fleet --resume" in told
