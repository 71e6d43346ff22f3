"""Learners beside each other: tiny trainings of each, and what is made of their figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from benchmarks import cleanrl_ppo, learning_peers, learning_workers
from benchmarks.learning_workers import LEARNERS, Order, Watch
from typer.testing import CliRunner

from warpzone.errors import WarpzoneError
from warpzone.nes.rom import Rom

app = typer.Typer()
app.command()(learning_peers.main)


def order(rom: Rom, **changes: Any) -> Order:
    return Order(seed=0, seconds=60.0, threads=1, rom=str(rom.path))._replace(**changes)


def test_the_goal_is_reached_with_a_whole_window_of_episodes() -> None:
    watch = Watch(Order(0, 1e9, 1, "game.nes"))
    watch.begin()
    assert watch.step(100, [True] * 99)  # all cleared, but too few
    assert watch.result()["reached"] is None
    assert not watch.step(200, [False])
    result = watch.result()
    assert result["reached"]["steps"] == 200
    assert result["reached"]["clear_rate"] == 0.99
    assert result["episodes"] == 100


def test_only_the_last_episodes_count() -> None:
    watch = Watch(Order(0, 1e9, 1, "game.nes"))
    watch.begin()
    assert watch.step(100, [True] * 40 + [False] * 100)
    assert watch.clear_rate == 0.0
    assert watch.step(200, [True] * 49)
    assert not watch.step(300, [True])


def test_a_budget_ends_what_does_not_reach_the_goal() -> None:
    watch = Watch(Order(0, 0.0, 1, "game.nes"))
    watch.begin()
    assert not watch.step(8, [])
    assert watch.result()["reached"] is None


def test_cleanrls_reading_learns_on_our_games(rom: Rom) -> None:
    """Two updates and a bit, which move the weights."""
    args = cleanrl_ppo.Args(num_envs=4, num_steps=8, num_minibatches=2, update_epochs=1)
    envs = learning_workers.games(order(rom), args.num_envs)
    steps: list[int] = []

    def on_step(count: int, cleared: list[bool]) -> bool:
        steps.append(count)
        return count < 72

    agent = cleanrl_ppo.train(envs, args, 0, on_step)
    envs.close()
    assert steps == [*range(4, 73, 4)]
    torch.manual_seed(0)
    fresh = cleanrl_ppo.Agent(int(envs.single_action_space.n))
    for after, before in zip(agent.parameters(), fresh.parameters(), strict=True):
        assert torch.isfinite(after).all()
        assert not torch.equal(after, before)


def test_ours_ends_after_the_update_that_spends_the_budget(rom: Rom) -> None:
    small = ("num_envs=4", "rollout_steps=8", "minibatch_size=16", "watched_games=0")
    watch = LEARNERS["warpzone"](order(rom, seconds=0.0, settings=small))
    assert watch.steps == 32
    assert watch.seconds > 0


def test_stable_baselines3_learns_on_our_games(rom: Rom, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stable_baselines3")
    few = {"n_envs": 2, "n_steps": 8, "batch_size": 8, "total_timesteps": 32, "n_epochs": 1}
    monkeypatch.setattr(learning_workers, "SB3", {**learning_workers.SB3, **few})
    assert LEARNERS["stable-baselines3"](order(rom)).steps == 32


@pytest.mark.slow
def test_a_learner_runs_in_a_process_of_its_own(rom: Rom) -> None:
    result = learning_peers.measure("cleanrl-style", order(rom, seconds=0.5))
    assert result["steps"] >= 8
    assert result["reached"] is None
    with pytest.raises(WarpzoneError, match="nothing"):
        learning_peers.measure("cleanrl-style", order(rom)._replace(rom="/nothing.nes"))


def test_command(rom: Rom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    def measure(name: str, order: Order) -> dict[str, Any]:
        turns.append(f"{name} {order.seed}")
        if name == "cleanrl-style" and order.seed == 1:
            raise WarpzoneError("it broke")
        at = {"seconds": 50.0, "steps": 4000, "clear_rate": 0.5}
        return {
            "seed": order.seed,
            "steps_per_second": 100.0 + order.seed,
            "reached": at if name == "warpzone" else None,
            "curve": [(8, 1.0, 0.25)],
        }

    monkeypatch.setattr(learning_peers, "measure", measure)
    monkeypatch.setitem(learning_workers.PEERS, "stable-baselines3", "no_such_module")
    out = tmp_path / "peers.json"
    done = CliRunner().invoke(
        app, ["--seeds", "2", "--seconds", "60", "--rom", str(rom.path), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert turns == ["warpzone 0", "cleanrl-style 0", "cleanrl-style 1", "warpzone 1"]
    result = json.loads(out.read_text())
    assert result["learners"]["warpzone"]["seconds_to_goal"]["median"] == 50.0
    assert result["learners"]["cleanrl-style"]["seconds_to_goal"] is None
    assert result["failures"] == {
        "stable-baselines3": "not installed: pip install stable-baselines3",
        "cleanrl-style": "it broke",
    }
    words = " ".join(done.output.split())
    assert "not reached in 60 s" in words
    assert "pip install stable-baselines3" in words
