"""The Lost Levels, never seen: measured once, told level by level."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import lost_levels
from benchmarks.lost_levels import WAYS
from typer.testing import CliRunner

from warpzone.agents.agent import Agent
from warpzone.errors import RomError
from warpzone.smb.known_cartridges import KNOWN
from warpzone.smb.rom import find_known


@pytest.fixture(autouse=True)
def cartridge() -> None:
    try:
        find_known(KNOWN["lost-levels"])
    except RomError as error:
        pytest.skip(f"no network: {error}")


def test_untold_it_is_the_same_agent_without_the_level() -> None:
    agent = Agent.load("1-1")
    untold = lost_levels.agent_for(agent, told=False)
    assert agent.info.env.show_level
    assert not untold.info.env.show_level
    assert untold.policy is agent.policy
    assert lost_levels.agent_for(agent, told=True).info == agent.info


def test_levels_are_measured_once_and_told(tmp_path: Path) -> None:
    out, table, told = tmp_path / "lost.json", tmp_path / "lost.md", tmp_path / "told.json"
    words = ["run", "--level", "2-1", "--episodes", "2", "--search-steps", "2000"]
    done = CliRunner().invoke(lost_levels.app, [*words, "--out", str(out)])
    assert done.exit_code == 0, done.output
    before = out.stat().st_mtime_ns
    again = CliRunner().invoke(lost_levels.app, [*words, "--out", str(out)])
    assert again.exit_code == 0, again.output
    assert out.stat().st_mtime_ns == before
    done = CliRunner().invoke(
        lost_levels.app,
        ["report", "--out", str(out), "--table", str(table), "--json", str(told)],
    )
    assert done.exit_code == 0, done.output
    found = json.loads(told.read_text())
    assert set(found["levels"]["2-1"]) == set(WAYS)
    assert all(0 < one["share"] <= 1 for one in found["levels"]["2-1"].values())
    rows = [line for line in table.read_text().splitlines() if line.startswith("| 2-1 ")]
    assert len(rows) == 1
    assert rows[0].count("|") == table.read_text().splitlines()[0].count("|")
