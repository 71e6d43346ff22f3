"""Training from moments of a user's own, and measuring there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.episodes import CLEAR, make_episode
from tests.support.toy import Corridor, toy_config
from tests.training.test_evaluation_schedule import learner

from warpzone.episodes.replay import snapshot_at
from warpzone.errors import ConfigError
from warpzone.nes.console import Console
from warpzone.smb.config import EnvConfig
from warpzone.smb.starts import start_level
from warpzone.training import resolve
from warpzone.training.config import TrainConfig
from warpzone.training.evaluation_schedule import EvaluationSchedule
from warpzone.training.trainer import train


def at_start(level: str) -> bytes:
    console = Console()
    start_level(console, level)
    return console.save()


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_where_all_episodes_begin_there_the_agent_is_measured_from_there(share: float) -> None:
    made: list[EnvConfig] = []

    def make(config: EnvConfig, games: int, groups: int, seed: int) -> Corridor:
        made.append(config)
        return Corridor(config, games, groups, seed)

    env = EnvConfig(start_states=[at_start("1-1"), at_start("1-2")], start_state_share=share)
    schedule = EvaluationSchedule(toy_config(env=env, eval_noop_max=17), make)
    schedule.measure(learner(0.0, 10, ("1-1", "1-2")))
    names = [[state.name for state in config.start_states] for config in made]
    if share == 1:
        assert names == [["state 1"], ["state 2"]], "each level's own"
        assert [config.start_noop_max for config in made] == [17, 17]
    else:
        assert names == [[], []]
        assert [config.start_noop_max for config in made] == [0, 0]
    for config in made:
        assert EnvConfig.model_validate(config.model_dump()) == config


def test_a_run_keeps_the_moments_and_goes_on_without_their_files(tmp_path: Path) -> None:
    """From shortly before the flag an agent that knows nothing clears the level now and then."""
    file = tmp_path / "flag.state"
    file.write_bytes(snapshot_at(make_episode(CLEAR), len(CLEAR) - 40))
    settings: dict[str, Any] = {
        "num_envs": 8, "rollout_steps": 32, "minibatch_size": 128, "eval_episodes": 10,
        "eval_noop_max": 0, "target_clear_rate": None, "watched_games": 1, "threads": 1,
    }  # fmt: skip
    env = {"start_states": str(file), "levels": "1-1", "max_steps": 40}
    config = resolve(total_steps=256, env=env, **settings)
    result = train(config, tmp_path / "run")
    assert result.measured["1-1"].clear_rate > 0
    assert result.measured["1-1"].mean_progress < 300
    file.unlink()
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    (state,) = saved["env"]["start_states"]
    assert state["name"] == "flag.state"
    again = TrainConfig.model_validate({**saved, "total_steps": 512})
    assert train(again, tmp_path / "run", resume=True).steps == 512


def test_what_cannot_be_trained_from_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read"):
        resolve(env={"start_states": str(tmp_path / "none.state")})
    (tmp_path / "a.state").write_bytes(at_start("1-2"))
    with pytest.raises(ConfigError, match=r"'a\.state' is a moment of 1-2, which is none of"):
        resolve(env={"start_states": str(tmp_path / "a.state"), "levels": "1-1"})
