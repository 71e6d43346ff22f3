"""Trainings with a reward that the settings name: it is measured and gone on with by that name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support import own_rewards
from tests.support.commands import error_of
from tests.training.test_trainer import Log, assert_same_state, newest

import warpzone
from warpzone.errors import ConfigError
from warpzone.training import resolve, train
from warpzone.training.agent_file import AgentInfo
from warpzone.training.config import TrainConfig
from warpzone.training.learner import Learner
from warpzone.training.run_settings import read_config

NAME = "tests.support.own_rewards:coins_and_speed"
GAMES, STEPS = 8, 32


def config(reward: str = NAME, **changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {
        "env": {"reward": reward, "max_steps": 60},
        "num_envs": GAMES,
        "rollout_steps": STEPS,
        "minibatch_size": 64,
        "total_steps": GAMES * STEPS * 3,
        "eval_episodes": 3,
        "target_clear_rate": None,
        "device": "cpu",
        "threads": 1,
    }
    return resolve("tiles", **{**settings, **changes})


def test_it_is_learnt_from_measured_by_and_kept(tmp_path: Path) -> None:
    own_rewards.calls.clear()
    train(config(), tmp_path / "run", display=Log().display)
    assert read_config(tmp_path / "run").env.reward == NAME
    assert own_rewards.calls.count(GAMES // 2) == 2 * STEPS * 3  # in two groups
    assert set(own_rewards.calls) - {GAMES // 2}  # of the measurement, in fewer games
    lines = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    returns = [x["rollout/episode_return"] for x in lines if "rollout/episode_return" in x]
    assert returns
    assert all(number == number for number in returns)


def test_a_resumed_run_knows_it_in_another_process(tmp_path: Path) -> None:
    """And goes on bit for bit."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(config(), whole, display=Log().display)
    train(config(total_steps=GAMES * STEPS), stopped, display=Log().display)
    (tmp_path / "go_on.py").write_text(
        "import sys\nfrom pathlib import Path\nimport warpzone.training as training\n"
        "from warpzone.training.run_settings import resumed\n"
        "path = Path(sys.argv[1])\n"
        "training.train(resumed(path, {'total_steps': int(sys.argv[2])}), path, resume=True)\n"
    )
    command = [sys.executable, str(tmp_path / "go_on.py"), str(stopped), str(GAMES * STEPS * 3)]
    root = Path(__file__).parents[2]
    subprocess.run(command, check=True, cwd=root, capture_output=True)
    one, other = newest(whole), newest(stopped)
    for state in (one, other):  # a run that was measured on its way has measured more often
        state.values.pop("judge")
    assert_same_state(one, other)


def test_it_stays_as_the_run_began(tmp_path: Path) -> None:
    train(config(total_steps=GAMES * STEPS), tmp_path / "run", display=Log().display)
    other = config("tests.support.own_rewards:distance")
    with pytest.raises(ConfigError, match=r"env\.reward: '.*coins_and_speed' then, '.*distance'"):
        train(other, tmp_path / "run", resume=True, display=Log().display)


def test_its_agent_is_played_by_others_who_do_not_have_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs_alone.py").write_text(
        "def paid(now, before):\n    return now['progress'] - before['progress']\n"
    )
    with monkeypatch.context() as theirs:
        theirs.syspath_prepend(tmp_path)
        run = config("theirs_alone:paid", total_steps=GAMES * STEPS)
        train(run, tmp_path / "run", display=Log().display)
    sys.modules.pop("theirs_alone")
    agent = warpzone.Agent.load(tmp_path / "run" / "agent.safetensors")
    assert agent.info.env.reward == "theirs_alone:paid"
    assert AgentInfo.model_validate_json(agent.info.model_dump_json()) == agent.info
    env = agent.make_env("1-1", noop_max=0, repeat_action_probability=0.0)
    observation, _ = env.reset(seed=0)
    observation, *_ = env.step(agent.decide(observation, "sample", agent.random(0)).action)
    envs = agent.make_envs("1-1", 2, noop_max=0, repeat_action_probability=0.0)
    envs.reset(seed=0)
    envs.step(np.zeros(2, np.int64))
    with pytest.raises(ConfigError, match="the reward 'theirs_alone:paid', code of a user's own"):
        warpzone.make_vec(config=agent.info.env)
    with pytest.raises(ConfigError, match="there is no module 'theirs_alone'"):
        train(
            read_config(tmp_path / "run").model_copy(update={"total_steps": GAMES * STEPS * 2}),
            tmp_path / "run", resume=True, display=Log().display,
        )  # fmt: skip
    assert "theirs_alone" not in sys.modules


def test_a_reward_that_fails_in_training_leaves_a_run_to_go_on_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not_a_number returned nan for game 3"):
        train(
            config("tests.support.own_rewards:not_a_number"), tmp_path / "run",
            display=Log().display,
        )  # fmt: skip
    assert newest(tmp_path / "run").values["step"] == 0


def test_what_only_rewards_of_ours_have_is_left_out_of_a_preset() -> None:
    assert resolve("generalist").env.end_penalty == 5.0
    assert config(env={"reward": NAME}).env.reward == NAME
    assert resolve("generalist", env={"reward": NAME}).env.end_penalty == 2.5
    with pytest.raises(ConfigError, match="end_penalty is for the rewards progress and landed"):
        resolve("generalist", env={"reward": NAME, "end_penalty": 5.0})


def test_games_with_action_masks_are_refused() -> None:
    settings = config()
    envs = warpzone.make_vec(
        config=settings.env, reward=NAME, num_envs=GAMES, num_groups=2,
        action_masks=own_rewards.never_left,
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"have action_masks, .* train with MaskablePPO"):
        Learner(settings, envs)


def test_on_the_command_line(tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "run"))
    assert "there is no reward 'speed': there are progress" in error_of(
        "train", "1-1", "--reward", "speed", *out
    )
    text = error_of("train", "1-1", "--reward", "no_such_module_here:f", *out)
    assert "there is no module 'no_such_module_here'" in text
    assert not (tmp_path / "run" / "config.json").exists()
    assert "env.… is for Super Mario Bros." in error_of(
        "train", "catch", "--reward", "progress", *out
    )
