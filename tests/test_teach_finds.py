"""An agent learns to take extra lives and mushrooms: scripts/teach_finds.py."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from scripts import teach_finds as finds
from tests.support.agents import write_agent

from warpzone.agents.agent import Agent
from warpzone.errors import ConfigError
from warpzone.smb.config import EnvConfig
from warpzone.smb.vector_env import MarioVectorEnv

LIFE = finds.extra_life("1-1")


@pytest.fixture(scope="module")
def generalist() -> Agent:
    return Agent.load("generalist")


def test_ways_from_the_agents_own_states_bring_the_extra_life_and_are_learnt(
    generalist: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finds, "FIRST_SEARCH", 600_000)
    monkeypatch.setattr(finds, "SEARCHES", 2)
    monkeypatch.setattr(finds, "OWN_STEPS", 20)
    out = tmp_path / "taught.safetensors"
    finds.main(["generalist", str(out), "--lives", "1-1", "--ways", "4", "--updates", "40"])
    taught = Agent.load(out)
    assert taught.info.env == generalist.info.env
    assert taught.info.earlier == (*generalist.info.earlier, generalist.info.stage)
    assert taught.info.command is not None
    assert taught.info.command.startswith(
        "python -m scripts.teach_finds generalist taught.safetensors --lives 1-1 "
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
    monkeypatch.setattr(finds, "FIRST_SEARCH", 600_000)
    monkeypatch.setattr(finds, "SEARCHES", 2)
    monkeypatch.setattr(finds, "THEN", 0)
    where, ways = finds.search(generalist, LIFE, seed=0)
    assert 1000 < where < 1060  # the hidden block is at 1024 px
    shown = finds.demonstrate(generalist, LIFE, where, ways, 2, 60.0, seed=0)
    assert len(shown.actions) > 20
    assert set(shown.rows[0]) == {"tiles", "scalars"}
    same = finds.imitate(
        Agent.load("generalist"), shown, finds.own_states(generalist, [(LIFE, where)]), 300, seed=0
    )
    assert same > 0.9


def test_ways_to_a_mushroom_end_with_a_big_mario(
    generalist: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finds, "FIRST_SEARCH", 600_000)
    monkeypatch.setattr(finds, "SEARCHES", 2)
    mushroom = finds.mushroom("6-4")
    where, ways = finds.search(generalist, mushroom, seed=0)
    config = finds.settings(generalist, "6-4")
    with closing(MarioVectorEnv(config=config, num_envs=4, threads=1)) as games:
        games.reset(seed=0)
        start = games.save_state(0)
        draws = np.random.default_rng(0)
        monkeypatch.setattr(finds, "TRIES", 4)
        monkeypatch.setattr(finds, "LONGEST", 600)
        monkeypatch.setattr(finds, "changed", lambda actions, draws: actions)
        monkeypatch.setattr(finds, "rest", lambda way, x, draws: way.actions)
        whole = [finds.Way([], way.actions) for way in ways]
        actions = finds.catch(games, start, mushroom, 0, whole, 0, draws)
        assert actions is not None
        games.load_state(start, 0)
        for action in actions:
            _, _, _, _, info = games.step(np.full(4, action))
        assert info["status"][0] == 1
    assert 400 < where < 560


def test_nothing_to_find_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="error: nothing to find"):
        finds.main(["generalist", str(tmp_path / "b.safetensors")])


def test_changes_are_small_and_never_leave_the_actions() -> None:
    draws = np.random.default_rng(0)
    way = finds.Way(places=list(range(0, 400, 10)), actions=[3] * 20 + [4] * 20)
    for _ in range(300):
        actions = finds.rest(way, int(draws.integers(-50, 500)), draws)
        assert 5 <= len(actions) <= 40
        other = finds.changed(actions, draws)
        assert set(other) <= {0, 3, 4}
        assert abs(len(other) - len(actions)) <= 15


def test_an_agent_that_sees_pictures_is_refused(tmp_path: Path) -> None:
    pictures = EnvConfig(observation="pixels", actions="down")
    agent = write_agent(tmp_path / "a.safetensors", pictures)
    with pytest.raises(SystemExit, match="error: "):
        finds.main([str(agent), str(tmp_path / "b.safetensors"), "--lives", "1-1"])


def test_a_level_without_an_extra_life_is_refused(
    generalist: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finds, "FIRST_SEARCH", 50_000)
    with pytest.raises(ConfigError, match="the extra life of 1-4 is not found"):
        finds.search(generalist, finds.extra_life("1-4"), seed=0)
