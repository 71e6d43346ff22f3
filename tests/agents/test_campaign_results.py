"""What a campaign's agents reach is measured, packaged and written down in its directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.agents import write_agent
from tests.support.measurements import Here, result

from warpzone.agents import measuring
from warpzone.agents.campaign_results import measure_campaign
from warpzone.agents.measurement import Measurement, Played
from warpzone.agents.packaged import Collection
from warpzone.agents.results import Results, read_results
from warpzone.smb.config import EnvConfig
from warpzone.training.agent_file import load_agent

LEVELS = ["1-1", "1-2"]


def env(levels: str, **settings: bool) -> EnvConfig:
    return EnvConfig(levels=levels, noop_max=30, no_progress_steps=12, **settings)


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """A specialist of 1-1, none of 1-2, and a network with its best agent and its last one."""
    write_agent(tmp_path / "1-1" / "best.safetensors", env("1-1"))
    network = env("1-1,1-2", show_level=True)
    write_agent(tmp_path / "network" / "best.safetensors", network, seed=1, steps=1)
    write_agent(tmp_path / "network" / "agent.safetensors", network, seed=2, steps=2)
    return [tmp_path / name for name in ("1-1", "1-2", "network")]


def measured(
    runs: list[Path], out: Path, said: list[str] | None = None, levels: list[str] = LEVELS
) -> Results:
    log = (lambda text: None) if said is None else said.append
    line = "warpzone campaign 1-1,1-2"
    return measure_campaign(runs, levels, out, line, episodes=10 if len(runs) > 1 else 1, log=log)


def test_the_table_of_a_campaign(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def measure(one: Measurement, folder: Path, rom: Path | None) -> Played:
        info = load_agent(folder / one.file)[1]
        asked.append(f"{info.steps} {one.level}")
        # The last agent of the network is better than the one that its run measured as best.
        rate = {1000: 1.0, 1: 0.5, 2: 0.8}[info.steps]
        return Played(result=result(rate, one.episodes))

    monkeypatch.setattr(measuring, "ThreadPoolExecutor", Here)
    monkeypatch.setattr(measuring, "measure", measure)
    said: list[str] = []
    results = measured(runs, tmp_path, said)
    assert f"{runs[1]} has no agent yet" in said
    assert read_results(tmp_path / "results.json") == results
    network = results.networks["generalist"]
    assert (network.steps, list(network.levels)) == (2, LEVELS)
    assert results.packaged == {"1-1": "specialist", "1-2": "generalist"}
    collection = Collection(tmp_path / "agents")
    assert collection.levels == LEVELS
    assert collection.index.network("generalist").file == network.file
    assert collection["1-1"].file == results.specialists["1-1"].file
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "Of 2 levels, trained and measured by\n\n    warpzone campaign 1-1,1-2\n" in page
    assert "| mean clear rate, no-ops | 90.0 % | 80.0 % |" in page
    assert f"warpzone eval {tmp_path / 'network'} --levels 1-1,1-2" in page
    assert not (tmp_path / "staged").exists()
    # Once more: everything is known.
    asked.clear()
    assert measured(runs, tmp_path).networks == results.networks
    assert asked == []
    # Another table is another one's.
    assert list(measured(runs, tmp_path, levels=["1-1"]).specialists) == ["1-1"]


def test_agents_that_know_nothing_are_played_and_not_packaged(
    runs: list[Path], tmp_path: Path
) -> None:
    results = measured(runs[:1], tmp_path)
    assert results.specialists == {}
    assert results.packaged == {}
    assert len((tmp_path / "measurements.jsonl").read_text().splitlines()) == 6
    assert "| with an agent | 0 |" in (tmp_path / "results.md").read_text()
