"""What is stored is what was played, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.support.toy import Corridor, toy_config

from warpzone.ppo import losses as ppo
from warpzone.ppo.policy import Policy, shapes_of, to_tensors
from warpzone.ppo.rollout import Rollout, collect
from warpzone.ppo.update import batch_of
from warpzone.smb.config import EnvConfig
from warpzone.training.config import NetworkConfig
from warpzone.training.networks import make_policy

CPU = torch.device("cpu")
STEPS, GAMES = 80, 6


class Tape(Corridor):
    """Notes everything that passes, as copies."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.sent: list[tuple[int, np.ndarray]] = []
        self.received: list[tuple[int, Any]] = []

    def send(self, group: int, actions: np.ndarray, out: Any = None) -> None:
        self.sent.append((group, actions.copy()))
        super().send(group, actions, out)

    def recv(self, group: int) -> Any:
        step = super().recv(group)
        self.received.append((group, _copy(step)))
        return step


def _copy(step: Any) -> dict[str, Any]:
    return {
        "obs": {k: v.copy() for k, v in step.obs.items()},
        "reward": step.reward.copy(),
        "terminated": step.terminated.copy(),
        "truncated": step.truncated.copy(),
        "finished": step.finished.copy(),
        "final_obs": {k: v.copy() for k, v in step.final_obs.items()},
        "task": step.task.copy(),
    }


@pytest.fixture
def played() -> tuple[Tape, Policy, Rollout, Any]:
    config = EnvConfig(levels={"1-1": 1.0, "1-2": 1.0})
    env = Tape(config, GAMES, 2, seed=3)
    torch.manual_seed(0)
    policy = make_policy(NetworkConfig(hidden=(16,)), shapes_of(env.single_observation_space), 4)
    # Large enough weights that values differ between states.
    with torch.no_grad():
        policy.heads.weight[-1] *= 5
    rollout = Rollout(STEPS, env, CPU)
    first = {k: v.copy() for k, v in env.observations().items()}
    collect(env, policy, rollout, 1, 0, lambda first, step: None)
    return env, policy, rollout, first


def test_each_action_is_stored_with_what_it_was_decided_on_and_what_it_led_to(
    played: tuple[Tape, Policy, Rollout, Any],
) -> None:
    env, policy, rollout, first = played
    for group, rows in enumerate(env.groups):
        sent = [actions for g, actions in env.sent if g == group]
        received = [step for g, step in env.received if g == group]
        assert len(sent) == len(received) == STEPS
        seen = {name: array[rows] for name, array in first.items()}
        for t in range(STEPS):
            with torch.no_grad():
                logits, value = policy(to_tensors(seen, CPU))
            for name, array in seen.items():
                np.testing.assert_array_equal(rollout.observations[name][t, rows], array)
            np.testing.assert_array_equal(rollout.actions[t, rows], sent[t])
            torch.testing.assert_close(rollout.log_probs[t, rows], logits.log_softmax(1))
            torch.testing.assert_close(rollout.values[t, rows], value)
            step = received[t]
            np.testing.assert_array_equal(rollout.rewards[t, rows], step["reward"])
            np.testing.assert_array_equal(
                rollout.ended[t, rows], step["terminated"] | step["truncated"]
            )
            np.testing.assert_array_equal(rollout.tasks[t, rows], step["task"])
            seen = step["obs"]
        with torch.no_grad():
            _, value = policy(to_tensors(seen, CPU))
        torch.testing.assert_close(rollout.values[STEPS, rows], value)


def test_a_truncated_episode_goes_on_from_the_value_of_its_own_last_observation(
    played: tuple[Tape, Policy, Rollout, Any],
) -> None:
    env, policy, rollout, _ = played
    next_values = rollout.next_values
    kinds = {"terminated": 0, "truncated": 0}
    for group, rows in enumerate(env.groups):
        received = [step for g, step in env.received if g == group]
        for t, step in enumerate(received):
            for k, row in enumerate(step["finished"]):
                game = rows.start + row
                last = {name: array[k : k + 1] for name, array in step["final_obs"].items()}
                if step["terminated"][row]:
                    kinds["terminated"] += 1
                    assert next_values[t, game] == 0
                else:
                    kinds["truncated"] += 1
                    with torch.no_grad():
                        _, value = policy(to_tensors(last, CPU))
                    assert next_values[t, game].item() == pytest.approx(value.item(), abs=1e-5)
                    # Not the value of the next episode's first state.
                    assert next_values[t, game] != rollout.values[t + 1, game]
    assert min(kinds.values()) > 5
    going_on = ~rollout.ended
    assert (next_values[going_on] == rollout.values[1:][going_on]).all()


def test_an_end_both_terminal_and_cut_off_is_terminal() -> None:
    class Both(Corridor):
        def recv(self, group: int) -> Any:
            step = super().recv(group)
            step.truncated |= step.terminated
            return step

    env = Both(EnvConfig(), 4, seed=0)
    policy = make_policy(NetworkConfig(hidden=(8,)), shapes_of(env.single_observation_space), 4)
    rollout = Rollout(STEPS, env, CPU)
    terminal: list[int] = []
    collect(
        env,
        policy,
        rollout,
        0,
        0,
        lambda first, step: terminal.append(int(step.terminated.sum())),
    )
    assert sum(terminal) > 3
    assert int((rollout.ended & (rollout.next_values == 0)).sum()) == sum(terminal)


def test_rollouts_join_without_a_gap(played: tuple[Tape, Policy, Rollout, Any]) -> None:
    env, policy, rollout, _ = played
    last = {name: array[STEPS].clone() for name, array in rollout.observations.items()}
    collect(env, policy, rollout, 2, 0, lambda first, step: None)
    for name, array in rollout.observations.items():
        assert torch.equal(array[0], last[name])


def test_no_pass_of_the_network_is_made_for_values_alone() -> None:
    env = Corridor(EnvConfig(), 4, seed=0)
    policy = make_policy(NetworkConfig(hidden=(8,)), shapes_of(env.single_observation_space), 4)
    rows: list[int] = []
    policy.register_forward_hook(lambda module, args, output: rows.append(len(output[1])))
    rollout = Rollout(STEPS, env, CPU)
    cut: list[int] = []
    collect(
        env,
        policy,
        rollout,
        0,
        0,
        lambda first, step: cut.append(int(step.truncated.sum())),
    )
    # One for each decision, one for each game's state after the last step, one for each cut.
    assert sum(rows) == 4 * STEPS + 4 + sum(cut)
    rows.clear()
    batch_of(rollout, toy_config(num_envs=4, minibatch_size=64))
    assert rows == []


def test_value_targets() -> None:
    env = Corridor(EnvConfig(), 4, seed=0)
    policy = make_policy(NetworkConfig(hidden=(8,)), shapes_of(env.single_observation_space), 4)
    rollout = Rollout(STEPS, env, CPU)
    collect(env, policy, rollout, 0, 0, lambda first, step: None)
    settings = {"num_envs": 4, "minibatch_size": 64, "normalize_advantage": False, "gamma": 0.9}
    one_step = batch_of(rollout, toy_config(**settings, value_target="one_step"))
    expected = rollout.rewards + 0.9 * rollout.next_values
    torch.testing.assert_close(one_step.targets, expected.flatten())
    lambda_ = batch_of(rollout, toy_config(**settings, gae_lambda=0.8))
    advantages = ppo.gae(
        rollout.rewards, rollout.values[:-1], rollout.next_values, rollout.ended, 0.9, 0.8
    )
    torch.testing.assert_close(lambda_.advantages, advantages.flatten())
    torch.testing.assert_close(lambda_.targets, (advantages + rollout.values[:-1]).flatten())
    rollout.discounts = torch.rand(STEPS, 4)
    discounted = batch_of(rollout, toy_config(**settings, value_target="one_step"))
    expected = rollout.rewards + rollout.discounts * rollout.next_values
    torch.testing.assert_close(discounted.targets, expected.flatten())


def test_all_of_a_rollout_is_where_it_is_to_be_and_of_its_type() -> None:
    env = Corridor(EnvConfig(), GAMES, 2)
    rollout = Rollout(STEPS, env, torch.device("meta"))
    kept = {name: value for name, value in vars(rollout).items() if torch.is_tensor(value)}
    found = {name: (tuple(value.shape), value.dtype) for name, value in kept.items()}
    actions = int(env.single_action_space.n)
    assert found == {
        "actions": ((STEPS, GAMES), torch.int64),
        "values": ((STEPS + 1, GAMES), torch.float32),
        "log_probs": ((STEPS, GAMES, actions), torch.float32),
        "rewards": ((STEPS, GAMES), torch.float32),
        "ended": ((STEPS, GAMES), torch.bool),
        "tasks": ((STEPS, GAMES), torch.int64),
        "truncated_values": ((STEPS, GAMES), torch.float32),
    }
    for tensor in [*kept.values(), *rollout.observations.values()]:
        assert tensor.device.type == "meta"
