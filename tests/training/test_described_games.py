"""Training on a described game: it learns, goes on bit for bit, is measured and filmed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from warpzone import Agent
from warpzone.agents.described import described_envs, described_frames, evaluate_described
from warpzone.cli.app import app
from warpzone.errors import AgentError, ConfigError
from warpzone.games.catch import GAME, cartridge
from warpzone.nes.game import register_game
from warpzone.training import resolve, train
from warpzone.training.agent_file import load_agent


def observe(now: Any, before: Any) -> Any:
    beside = (now["ball_x"] + 4 - now["paddle"] - 8) / 32
    return np.stack([np.clip(beside, -1, 1), now["ball_y"] / 240], axis=1)


EASY = dataclasses.replace(GAME, name="easy-catch", observe=observe)
register_game(EASY.name, lambda: EASY)


@pytest.fixture(scope="module")
def rom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catch") / "catch.nes"
    cartridge(path)
    return path


def config(steps: int, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "game": {"name": "easy-catch", "observation": "variables"},
        "network": {"hidden": [32], "piecewise_linear": False},
        "num_envs": 8,
        "rollout_steps": 32,
        "minibatch_size": 128,
        "total_steps": steps,
        "gamma": 0.9,
        "lr": 3e-3,
        "eval_episodes": 4,
        "threads": 1,
        "target_clear_rate": None,
    }
    return resolve("tiles", **{**settings, **changes})


@pytest.fixture(scope="module")
def trained(rom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "catch"
    result = train(config(8 * 32 * 30), out, rom=rom)
    assert list(result.measured) == ["game"]
    return out


def test_it_learns(trained: Path, rom: Path) -> None:
    agent = Agent.load(trained)
    assert agent.info.game.name == "easy-catch"
    assert agent.info.game.noop_max == 30  # the description's own default
    assert agent.title.startswith("variables agent of easy-catch, 7,680 steps")
    command = agent.info.command or ""
    assert command.startswith("warpzone train easy-catch ")
    assert "game.observation=variables" in command
    found = evaluate_described(agent, episodes=10, rom=rom, seed=1)
    with_nothing_learnt = evaluate_described(_fresh(agent), episodes=10, rom=rom, seed=1)
    assert found.result.mean_progress > 2 * with_nothing_learnt.result.mean_progress + 2
    assert found.infos["score"] == pytest.approx(found.result.mean_progress)
    assert found.start == "game"


def _fresh(agent: Agent) -> Agent:
    from warpzone.training.networks import make_policy

    policy = make_policy(agent.info.network, agent.info.shapes, agent.info.actions)
    return Agent(policy.requires_grad_(False).eval(), agent.info, agent.path)


def test_a_run_goes_on_bit_for_bit(rom: Path, tmp_path: Path) -> None:
    train(config(8 * 32 * 4), tmp_path / "whole", rom=rom)
    train(config(8 * 32 * 2, checkpoint_every=1), tmp_path / "split", rom=rom)
    train(config(8 * 32 * 4, checkpoint_every=1), tmp_path / "split", rom=rom, resume=True)
    whole, _ = load_agent(tmp_path / "whole" / "agent.safetensors")
    split, _ = load_agent(tmp_path / "split" / "agent.safetensors")
    for name, weights in whole.state_dict().items():
        assert np.array_equal(weights.numpy(), split.state_dict()[name].numpy()), name


def test_a_film_shows_every_frame(trained: Path, rom: Path) -> None:
    agent = Agent.load(trained)
    frames = list(described_frames(agent, rom=rom, seed=3, noop_max=0))
    assert frames[0].shape == (240, 256)
    env = described_envs(agent, 1, rom=rom, seed=3, noop_max=0, autoreset="disabled")
    env.reset(seed=3)
    random, steps, over = agent.random(3), 0, False
    while not over:
        env.send(0, agent.act(env.observations(), "sample", random))
        over = len(env.recv(0).finished) > 0
        steps += 1
    assert len(frames) == 1 + 4 * steps


def test_pictures_and_ram_are_seen_too(rom: Path, tmp_path: Path) -> None:
    for preset, seen in (("pixels", "pixels"), ("tiles", "ram")):
        small = {"num_envs": 2, "rollout_steps": 8, "minibatch_size": 8, "eval_episodes": 1}
        game = {"name": "catch", "observation": seen, "max_steps": 30}
        network = {"hidden": [16]} if seen == "pixels" else {"hidden": [16], "kind": "tiles"}
        made = resolve(preset, **small, game=game, network=network, total_steps=16, threads=1)
        result = train(made, tmp_path / seen, rom=rom)
        assert result.steps == 16
        assert evaluate_described(Agent.load(tmp_path / seen), episodes=2, rom=rom).infos["steps"]


def test_what_is_for_another_game_is_refused(trained: Path, rom: Path) -> None:
    with pytest.raises(AgentError, match="plays easy-catch, not Super Mario Bros"):
        Agent.load(trained).make_env("1-1", noop_max=0, repeat_action_probability=0)
    with pytest.raises(ConfigError, match=r"game\.noop_max is for a described game"):
        resolve("tiles", game={"noop_max": 3})
    with pytest.raises(ConfigError, match="training is on one start"):
        resolve("pixels", game={"name": "catch", "starts": {"game": 1.0, "other": 1.0}})
    with pytest.raises(ConfigError, match="network 'patches' cannot read observation 'ram'"):
        resolve("pixels", game={"name": "catch", "observation": "ram"})
    with pytest.raises(ConfigError, match="there is no game 'chess'"):
        train(resolve("pixels", game={"name": "chess"}), trained.parent / "chess", rom=rom)
    with pytest.raises(ConfigError, match="curriculum"):
        train(
            config(256, curriculum={"share": 0.5}, env={"start_steps": 96}),
            trained.parent / "curriculum",
            rom=rom,
        )


def test_on_the_command_line(rom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "import dataclasses\n"
        "from warpzone.games.catch import GAME as CATCH\n"
        "GAME = dataclasses.replace(CATCH, name='mine')\n"
    )

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, "--rom", str(rom)])
        assert result.exit_code == 0, result.output
        return result.output

    settings = ["num_envs=2", "rollout_steps=8", "minibatch_size=8", "eval_episodes=1"]
    settings += ["game.observation=ram", "game.max_steps=20", "network.hidden=[16]"]
    sets = [word for setting in settings for word in ("--set", setting)]
    run("train", "mine.py", "--preset", "tiles", "--steps", "16", "--out", "r", *sets)
    told = run("eval", "r", "--description", "mine.py", "--episodes", "2", "--json")
    assert '"game": "mine"' in told
    run("record", "r", "--description", "mine.py", "-o", "clip.gif")
    assert Path("clip.gif").stat().st_size > 1000
    refused = CliRunner().invoke(app, ["eval", "r", "--levels", "1-1"])
    assert refused.exit_code != 0
    refused = CliRunner().invoke(app, ["watch", "r"])
    assert refused.exit_code != 0
    assert "plays mine, not Super Mario Bros" in refused.output
