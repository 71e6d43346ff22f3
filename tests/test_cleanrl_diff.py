"""The change in docs/trainers.md that has CleanRL's script play our games: its new lines, run.

CleanRL's script is not here. What of it the changed lines touch is written around them: a loop that
hands over actions, and counts what its reports should say.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.cleanrl_ppo import Agent

PAGE = Path(__file__).resolve().parents[1] / "docs" / "trainers.md"
HUNKS = ("import", "args", "statistics", "make", "checks", "start", "step", "report")
GAMES, STEPS = 3, 120
RIGHT = 1
"""Walks into the first goomba."""


def hunks() -> dict[str, list[str]]:
    """The parts of the diff, by what they change."""
    (diff,) = re.findall(r"```diff\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    parts: list[list[str]] = [[]]
    for line in diff.splitlines():
        if line.startswith("@@"):
            parts.append([])
        else:
            parts[-1].append(line)
    return dict(zip(HUNKS, parts, strict=True))


def new(name: str) -> str:
    """What a part of the script is after the change."""
    return textwrap.dedent("\n".join(line[1:] for line in hunks()[name] if line[0] in " +"))


def old(name: str) -> str:
    """What it was before."""
    return textwrap.dedent("\n".join(line[1:] for line in hunks()[name] if line[0] in " -"))


def run(name: str, names: dict[str, Any]) -> None:
    exec(compile(new(name), f"{PAGE} ({name})", "exec"), names)


def test_nothing_of_envpool_is_left() -> None:
    for name, lines in hunks().items():
        assert {line[0] for line in lines} <= set(" +-"), name
        assert not lines or old(name) != new(name)
    # What CleanRL's script does with EnvPool, and no longer may.
    gone = "\n".join(old(name) for name in HUNKS)
    for word in ("envpool.make", "episodic_life", "reward_clip", 'info["lives"]', "Breakout-v5"):
        assert word in gone
    left = "\n".join(new(name) for name in HUNKS)
    for word in ("envpool", "gym", "lives", "Breakout"):
        assert not re.search(rf"\b{word}\b", left), word


def test_the_changed_lines_play() -> None:
    names: dict[str, Any] = {"torch": torch, "device": torch.device("cpu")}
    run("import", names)
    class_body: dict[str, Any] = {"__annotations__": {}}
    run("args", class_body)
    assert class_body["env_id"] == "1-1"
    names["args"] = type("Args", (), {**class_body, "num_envs": GAMES, "seed": 4})
    run("make", names)
    envs = names["envs"]
    assert envs.num_envs == GAMES
    run("start", names)
    assert names["next_obs"].shape == (GAMES, 4, 84, 84)
    assert names["next_obs"].dtype == torch.float32

    with torch.no_grad():
        probabilities, value = Agent(envs.single_action_space.n)(names["next_obs"])
    assert probabilities.sample().shape == value.shape == (GAMES,)
    returns, lengths = np.zeros(GAMES), np.zeros(GAMES, int)
    reports = 0
    for _ in range(STEPS):
        names["action"] = torch.full((GAMES,), RIGHT)
        run("step", names)
        reward, done = names["reward"], names["next_done"]
        assert torch.tensor(reward).view(-1).shape == (GAMES,)
        returns += reward
        lengths += 1
        names["next_obs"] = torch.Tensor(names["next_obs"])
        names["next_done"] = torch.Tensor(done)
        assert names["next_done"].tolist() == done.tolist()
        for idx, d in enumerate(names["next_done"]):
            names["info"].pop("r", None)
            names.update(d=d)
            run("report", names)
            assert ("r" in names["info"]) == bool(d)
            if d:
                info = names["info"]
                assert info["r"][idx] == pytest.approx(returns[idx], rel=1e-4)
                assert info["l"][idx] == lengths[idx]
                returns[idx] = lengths[idx] = 0
                reports += 1
    assert reports >= 2
    envs.close()
