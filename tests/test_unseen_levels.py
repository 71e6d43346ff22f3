"""Levels never seen: splits are as stated, networks train on the others only, tables add up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import unseen_levels
from benchmarks.unseen_levels import SAME_MAPS, SPLITS, kind
from typer.testing import CliRunner

from warpzone.errors import ConfigError
from warpzone.nes.console import Console
from warpzone.nes.rom import Rom
from warpzone.smb.levels import LEVELS
from warpzone.smb.memory import map_number
from warpzone.smb.starts import start_level
from warpzone.training.run_settings import read_config

TINY = (
    "num_envs=4", "rollout_steps=8", "minibatch_size=32", "network.hidden=[8]",
    "curriculum.share=0", "practice.share=0", "eval_episodes=2", "target_clear_rate=null",
)  # fmt: skip


def test_the_splits_are_those_of_the_seed() -> None:
    assert unseen_levels.draw_splits(unseen_levels.SPLIT_SEED) == SPLITS


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_is_spread_over_worlds_and_kinds(name: str) -> None:
    held_out, trained = SPLITS[name], unseen_levels.trained_levels(name)
    assert len(held_out) == unseen_levels.HELD_OUT
    assert sorted([*held_out, *trained]) == sorted(LEVELS)
    assert len({level[0] for level in held_out}) >= 6
    assert {"overground", "athletic", "castle"} < {kind(level) for level in held_out}


def test_no_level_is_held_out_in_both() -> None:
    assert not set(SPLITS["a"]) & set(SPLITS["b"])


def test_levels_of_one_map_are_held_out_together(rom: Rom) -> None:
    """Which these are, the game's own RAM tells."""
    console = Console(rom)
    maps: dict[int, list[str]] = {}
    for level in LEVELS:
        start_level(console, level)
        maps.setdefault(map_number(console.ram), []).append(level)
    twins = {tuple(levels) for levels in maps.values() if len(levels) > 1}
    assert twins == set(SAME_MAPS)
    for held_out in SPLITS.values():
        assert all((one in held_out) == (two in held_out) for one, two in twins)


@pytest.mark.parametrize("setting", ["init=1-1", 'distillation_policies={"1-1": "1-1"}'])
def test_what_may_have_seen_the_levels_teaches_nothing(setting: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="may have seen"):
        unseen_levels.line("a", tmp_path, 1000, 1, [setting], Path("game.nes"))


def test_a_share_is_of_the_level_and_at_most_all_of_it() -> None:
    played = {"progress": [500, 3000, 1000, 900], "cleared": [0, 0, 1, 0]}
    told = unseen_levels.summary(played, 1000.0)
    assert told["rate"] == 0.25
    assert told["low"] < 0.25 < told["high"]
    assert told["share"] == pytest.approx((0.5 + 1 + 1 + 0.9) / 4)


def test_a_network_is_trained_and_measured_and_goes_on(rom: Rom, tmp_path: Path) -> None:
    out = tmp_path / "unseen"
    words = ["run", "--split", "a", "--threads", "1", "--episodes", "2", "--rom", str(rom.path)]
    words += ["--out", str(out), *(word for one in TINY for word in ("--set", one))]
    words += ["--level", "1-1", "--level", "3-1"]
    done = CliRunner().invoke(unseen_levels.app, [*words, "--steps", "64"])
    assert done.exit_code == 0, done.output
    config = read_config(out / "a")
    assert list(config.env.levels) == unseen_levels.trained_levels("a")
    assert not config.env.show_level

    before = (out / "a.json").stat().st_mtime_ns
    again = CliRunner().invoke(unseen_levels.app, [*words, "--steps", "64"])
    assert again.exit_code == 0, again.output
    assert (out / "a.json").stat().st_mtime_ns == before, "nothing is measured twice"

    table, found = tmp_path / "table.md", tmp_path / "found.json"
    told = CliRunner().invoke(
        unseen_levels.app,
        ["report", "--out", str(out), "--table", str(table), "--json", str(found)],
    )
    assert told.exit_code == 0, told.output
    split = json.loads(found.read_text())["splits"]["a"]
    assert set(split["levels"]) == {"1-1", "3-1"}
    assert set(split["levels"]["3-1"]) == {"argmax", "sample", "random"}
    rows = [line for line in table.read_text().splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[1:]] == [
        "| 3-1", "| **mean, held out**", "| 1-1", "| **mean, trained**",
    ]  # fmt: skip

    further = CliRunner().invoke(unseen_levels.app, [*words, "--steps", "128"])
    assert further.exit_code == 0, further.output
    assert json.loads((out / "a" / "status.json").read_text())["step"] == 128
