"""RLlib's env runner over the vector environment, against the environment itself.

`sh scripts/try_trainers.sh rllib` runs it where RLlib is not installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import warpzone

GAMES, STEPS = 3, 60
SETTINGS: dict[str, Any] = {"noop_max": 30, "no_progress_steps": 12}


def arrays(observation: Any) -> dict[str, Any]:
    return observation if isinstance(observation, dict) else {"array": observation}


def assert_same(one: Any, batch: Any, row: int) -> None:
    for name, array in arrays(batch).items():
        np.testing.assert_array_equal(arrays(one)[name], array[row])


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
def test_episodes_are_what_the_games_play(observation: Any) -> None:
    pytest.importorskip("tree")  # which RLlib has and Tune has not
    ppo = pytest.importorskip("ray.rllib.algorithms.ppo")
    from ray.rllib.core.columns import Columns
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec
    from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
    from ray.tune.registry import register_env

    # mypy looks at RLlib nowhere, since it is not installed everywhere.
    class Uniform(TorchRLModule):  # type: ignore[misc]
        """Every action is as likely as another."""

        def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, Any]:
            count = len(next(iter(arrays(batch[Columns.OBS]).values())))
            return {Columns.ACTION_DIST_INPUTS: torch.zeros(count, int(self.action_space.n))}

    settings: dict[str, Any] = {**SETTINGS, "observation": observation}

    def games(context: Any) -> Any:
        return warpzone.make_vec("1-1", context["num_envs"], autoreset="next_step", **settings)

    register_env("warpzone", games)
    whose: dict[str, int] = {}

    def begun(*, episode: Any, env_index: int, **_: Any) -> None:
        whose[episode.id_] = env_index

    config = (
        ppo.PPOConfig()
        .environment("warpzone")
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=GAMES,
            gym_env_vectorize_mode="vector_entry_point",
        )
        .rl_module(rl_module_spec=RLModuleSpec(module_class=Uniform))
        .callbacks(on_episode_start=begun)
        .debugging(seed=5)
    )
    runner = SingleAgentEnvRunner(config=config, worker_index=0)
    played = {episode.id_: episode for episode in runner.sample(num_timesteps=GAMES * STEPS)}
    runner.stop()

    plain = warpzone.make_vec("1-1", GAMES, autoreset="next_step", **settings)
    obs, _ = plain.reset(seed=5)
    coming = [[played[name] for name, its in whose.items() if its == game] for game in range(GAMES)]
    at = [0] * GAMES  # steps into each game's episode; its next one begins with a step of its own
    for game in range(GAMES):
        assert_same(coming[game][0].observations[0], obs, game)
    ends = 0
    for _ in range(STEPS):
        actions = [
            0 if episodes[0].is_done and step == len(episodes[0]) else episodes[0].actions[step]
            for episodes, step in zip(coming, at, strict=True)
        ]
        obs, rewards, terminated, truncated, infos = plain.step(np.array(actions))
        for game, episodes in enumerate(coming):
            if episodes[0].is_done and at[game] == len(episodes[0]):
                del episodes[0]
                at[game] = 0
                ends += 1
            else:
                assert episodes[0].rewards[at[game]] == pytest.approx(rewards[game])
                at[game] += 1
            episode = episodes[0]
            assert_same(episode.observations[at[game]], obs, game)
            assert episode.infos[at[game]]["progress"] == infos["progress"][game]
            last = at[game] == len(episode)
            assert (episode.is_terminated and last, episode.is_truncated and last) == (
                terminated[game],
                truncated[game],
            )
    assert ends >= 2
