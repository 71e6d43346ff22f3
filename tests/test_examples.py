"""Examples that are programs: run for a moment, as a user runs them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_ppo_in_one_file_gets_farther_with_every_update(tmp_path: Path) -> None:
    out = tmp_path / "agent.pt"
    command = [sys.executable, "-P", str(EXAMPLES / "ppo.py"), "--total-steps", "40000"]
    command += ["--num-steps", "64", "--out", str(out), "--seed", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    progress = [int(px.replace(",", "")) for px in re.findall(r"progress ([\d,]+) px", done.stdout)]
    assert len(progress) == 10
    # Chance comes 300 to 400 px far, to the first goombas.
    assert progress[-1] > 1.5 * progress[0]
    weights = torch.load(out, weights_only=True)
    assert set(weights) >= {"trunk.0.weight", "actor.weight", "critic.weight"}
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_ppo_in_one_file_is_short_and_needs_only_the_environments() -> None:
    text = (EXAMPLES / "ppo.py").read_text()
    assert len(text.splitlines()) < 240
    assert set(re.findall(r"warpzone\.\w+", text)) == {"warpzone.make_vec"}


def test_stable_baselines3_gets_farther(tmp_path: Path) -> None:
    ppo = pytest.importorskip("stable_baselines3").PPO
    out = tmp_path / "agent.zip"
    command = [sys.executable, "-P", str(EXAMPLES / "sb3_ppo.py"), "--total-steps", "6144"]
    command += ["--num-envs", "32", "--num-steps", "32", "--out", str(out), "--seed", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    progress = [int(px.replace(",", "")) for px in re.findall(r"progress ([\d,]+) px", done.stdout)]
    assert len(progress) == 6
    assert progress[-1] > 1.3 * progress[1]  # chance in the second rollout; in the first few ended
    model = ppo.load(out, device="cpu")
    assert model.policy.features_extractor.first.weight.isfinite().all()
    assert model.num_timesteps == 6144


def assert_learns(name: str, tmp_path: Path) -> None:
    """Runs an example that tells returns and saves its weights: six rollouts of PPO."""
    out = tmp_path / "agent.pt"
    command = [sys.executable, "-P", str(EXAMPLES / name), "--total-steps", "12288"]
    command += ["--num-envs", "32", "--num-steps", "64", "--out", str(out), "--seed", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    returns = [float(number) for number in re.findall(r"return (-?[\d.]+)", done.stdout)]
    assert len(returns) == 6
    assert returns[-1] > 1.5 * returns[0]
    weights = torch.load(out, weights_only=True)
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_torchrl_learns(tmp_path: Path) -> None:
    pytest.importorskip("torchrl")
    assert_learns("torchrl_ppo.py", tmp_path)


def test_rllib_learns(tmp_path: Path) -> None:
    pytest.importorskip("tree")  # which RLlib has and Tune has not
    pytest.importorskip("ray.rllib.algorithms.ppo")
    assert_learns("rllib_ppo.py", tmp_path)


def test_tianshou_learns(tmp_path: Path) -> None:
    pytest.importorskip("tianshou")
    out = tmp_path / "agent.pt"
    saved = []
    for steps in ("128", "2048"):
        command = [sys.executable, "-P", str(EXAMPLES / "tianshou_dqn.py"), "--seed", "2"]
        command += ["--total-steps", steps, "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        saved.append(torch.load(out, weights_only=True))
    found = re.fullmatch(r"2,048 steps · (\d+) episodes · (\d+) gradient steps\n", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) > 8
    assert int(found[2]) >= 30
    for before, after in zip(saved[0].values(), saved[1].values(), strict=True):
        assert after.isfinite().all()
        assert not torch.equal(before, after)


def test_a_tree_search_gets_farther_than_its_policy_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-P", str(EXAMPLES / "tree_search.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    alone, ahead = map(int, re.findall(r"(\d+) px", done.stdout))
    assert alone < 600
    assert ahead > 3000
    assert "px, cleared" in done.stdout
    text = (EXAMPLES / "tree_search.py").read_text()
    assert len(text.splitlines()) < 90
    assert set(re.findall(r"warpzone\.\w+", text)) == {"warpzone.make", "warpzone.make_vec"}


def test_a_reward_of_ones_own_is_learnt_from_and_gone_on_with(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "own_reward.py"), "--total-steps", "40960"]
    command += ["--out", str(tmp_path / "run"), "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, last = map(float, re.findall(r"(-?[\d.]+) at (?:first|last)", done.stdout))
    assert last > first + 2
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["env"]["reward"] == "own_reward:coins_and_speed"
    changes = (tmp_path / "run" / "changes.jsonl").read_text()
    assert "total_steps" in changes
    assert len((EXAMPLES / "own_reward.py").read_text().splitlines()) < 70


def test_a_network_of_ones_own_is_trained_gone_on_with_and_loaded_by_name(tmp_path: Path) -> None:
    command = [sys.executable, "-P", str(EXAMPLES / "own_network.py"), "--num-envs", "8"]
    command += ["--out", str(tmp_path / "run"), "--total-steps"]
    for steps in ("1024", "2048"):
        done = subprocess.run(
            [*command, steps], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
    assert "going on from step 1,024" in done.stdout
    assert re.search(r"tiles agent, 2,048 steps: cleared \d+%, progress [1-9]\d+ px", done.stdout)
    text = (EXAMPLES / "own_network.py").read_text()
    assert len(text.splitlines()) < 80
