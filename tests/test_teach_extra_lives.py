"""An agent learns to take an extra life from what a search finds: scripts/teach_extra_lives.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scripts import teach_extra_lives as lives
from tests.support.agents import write_agent

from warpzone.agents.agent import Agent
from warpzone.errors import ConfigError
from warpzone.smb.config import EnvConfig


@pytest.fixture(scope="module")
def generalist() -> Agent:
    return Agent.load("generalist")


def test_ways_from_the_agents_own_states_bring_the_extra_life_and_are_learnt(
    generalist: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "FIRST_SEARCH", 600_000)
    monkeypatch.setattr(lives, "SEARCHES", 2)
    monkeypatch.setattr(lives, "OWN_STEPS", 20)
    out = tmp_path / "taught.safetensors"
    lives.main(["generalist", str(out), "--ways", "4", "--updates", "40"])
    taught = Agent.load(out)
    assert taught.info.env == generalist.info.env
    assert taught.info.earlier == (*generalist.info.earlier, generalist.info.stage)
    assert taught.info.command is not None
    assert taught.info.command.startswith(
        "python -m scripts.teach_extra_lives generalist taught.safetensors "
    )
    changed = [
        float((after - before).abs().max())
        for after, before in zip(
            taught.policy.state_dict().values(),
            generalist.policy.state_dict().values(),
            strict=True,
        )
    ]
    assert max(changed) > 1e-4


def test_a_way_that_is_shown_ends_with_the_extra_life(
    generalist: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "FIRST_SEARCH", 600_000)
    monkeypatch.setattr(lives, "SEARCHES", 2)
    monkeypatch.setattr(lives, "THEN", 0)
    where, ways = lives.find(generalist, "1-1", seed=0)
    assert 1000 < where < 1060  # the hidden block is at 1024 px
    shown = lives.demonstrate(generalist, "1-1", where, ways, 2, 60.0, seed=0)
    assert len(shown.actions) > 20
    assert set(shown.rows[0]) == {"tiles", "scalars"}
    same = lives.imitate(
        Agent.load("generalist"), shown, lives.own_states(generalist, "1-1", where), 300, seed=0
    )
    assert same > 0.9


def test_changes_are_small_and_never_leave_the_actions() -> None:
    draws = np.random.default_rng(0)
    way = lives.Way(places=list(range(0, 400, 10)), actions=[3] * 20 + [4] * 20)
    for _ in range(300):
        actions = lives.rest(way, int(draws.integers(-50, 500)), draws)
        assert 5 <= len(actions) <= 40
        other = lives.changed(actions, draws)
        assert set(other) <= {0, 3, 4}
        assert abs(len(other) - len(actions)) <= 15


def test_an_agent_that_sees_pictures_is_refused(tmp_path: Path) -> None:
    pictures = EnvConfig(observation="pixels", actions="down")
    agent = write_agent(tmp_path / "a.safetensors", pictures)
    with pytest.raises(SystemExit, match="error: "):
        lives.main([str(agent), str(tmp_path / "b.safetensors")])


def test_a_level_without_an_extra_life_is_refused(
    generalist: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "FIRST_SEARCH", 50_000)
    with pytest.raises(ConfigError, match="no extra life is found in 1-4"):
        lives.find(generalist, "1-4", seed=0)
