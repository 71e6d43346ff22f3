"""The settings of PQN, and which settings fit which algorithm."""

from __future__ import annotations

from typing import Any

import pytest

from warpzone.errors import ConfigError
from warpzone.pqn.config import PQNConfig
from warpzone.training import TrainConfig, resolve


def test_epsilon_falls_linearly_in_a_share_of_the_run_and_stays() -> None:
    settings = PQNConfig(epsilon_start=0.9, epsilon_end=0.1, epsilon_share=0.2)
    given = [settings.epsilon(progress) for progress in (0.0, 0.05, 0.1, 0.2, 0.7, 1.0)]
    assert given == pytest.approx([0.9, 0.7, 0.5, 0.1, 0.1, 0.1])
    assert PQNConfig(epsilon_share=0.0).epsilon(0.0) == PQNConfig().epsilon_end


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pqn": {"q_lambda": 0.5}}, r"pqn\.q_lambda is for the algorithm pqn, and this is 'ppo'"),
        ({"algorithm": "pqn", "clip": 0.1}, "clip is for the algorithm ppo, and this is 'pqn'"),
        ({"algorithm": "pqn", "lr_kl": None}, "lr_kl is for the algorithm ppo"),
        ({"algorithm": "pqn", "distillation_policies": "generalist"}, "distillation_policies is"),
        ({"algorithm": "pqn", "corrections": {"margin": 0.3}}, r"corrections\.margin is for the"),
        ({"algorithm": "pqn", "learner": "native"}, "learner 'native' is for the algorithm ppo"),
        ({"algorithm": "dqn"}, "algorithm: .*'ppo' or 'pqn'"),
        (
            {"algorithm": "pqn", "pqn": {"epsilon_start": 0.1, "epsilon_end": 0.2}},
            r"pqn: epsilon_end 0\.2 is more than epsilon_start 0\.1",
        ),
        ({"algorithm": "pqn", "pqn": {"eval_epsilon": 0.0}}, r"eval_epsilon: .*0\.000001"),
    ],
)
def test_settings_of_the_other_algorithm_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve("tiles", **changes)


def test_a_preset_of_one_algorithm_leaves_its_own_settings_to_the_other() -> None:
    """`pixels` and `tutorial` set what only PPO has."""
    for preset in ("pixels", "tutorial", "specialist"):
        config = resolve(preset, algorithm="pqn")
        assert config.lr_kl == TrainConfig().lr_kl
        assert config.env == resolve(preset).env
    assert resolve("pqn", algorithm="ppo").algorithm == "ppo"
    assert resolve("pqn", pqn={"q_lambda": 0.9}).pqn.q_lambda == 0.9
