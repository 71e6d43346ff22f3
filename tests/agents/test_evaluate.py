"""Measuring an agent on the real game, and what is said about it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.episodes import CLEAR, make_episode

from warpzone.agents.agent import Agent
from warpzone.agents.evaluate import Evaluation, Protocol, evaluate, evaluate_row
from warpzone.agents.evaluate_game import evaluate_game
from warpzone.agents.packaged import Collection
from warpzone.episodes.replay import snapshot_at
from warpzone.errors import ConfigError
from warpzone.nes.cartridge import open_rom
from warpzone.training.evaluation import EvalResult

PROTOCOL = Protocol(
    policy="sample",
    episodes=100,
    noop_max=30,
    repeat_action_probability=0.25,
    frame_skip=4,
    max_steps=None,
    no_progress_steps=150,
    seed=0,
)


def test_json_is_plain_and_complete() -> None:
    evaluation = Evaluation(
        {"1-1": EvalResult(1.0, 1, (0.2, 1.0), 3161.0, 1500.0)},
        PROTOCOL,
        {"revision": "Europe", "sha1": "ab30"},
    )
    read = json.loads(json.dumps(evaluation.as_json()))
    assert set(read) == {"levels", "protocol", "rom"}
    assert read["levels"]["1-1"] == {
        "clear_rate": 1.0,
        "episodes": 1,
        "ci95": [0.2, 1.0],
        "mean_progress": 3161.0,
        "mean_frames": 1500.0,
    }
    assert read["protocol"]["repeat_action_probability"] == 0.25


def test_protocol_in_words() -> None:
    assert str(PROTOCOL) == (
        "100 episodes per level, sampled actions, 0–30 no-op frames at the start, sticky 0.25, "
        "frame skip 4, cut after 150 steps without progress, seed 0"
    )


def test_measures_each_level_and_says_how(agent: Agent) -> None:
    said: list[str] = []
    evaluation = evaluate(
        agent,
        ["1-1", "2-2"],
        episodes=5,
        noop_max=8,
        repeat_action_probability=0.25,
        threads=1,
        log=said.append,
    )
    assert list(evaluation.levels) == ["1-1", "2-2"]
    assert [r.episodes for r in evaluation.levels.values()] == [5, 5]
    assert evaluation.protocol == Protocol("sample", 5, 8, 0.25, 4, None, 12, 0)
    assert evaluation.rom == {"revision": open_rom().revision, "sha1": open_rom().sha1}
    assert said == ["level 1-1 (1 of 2), 5 episodes", "level 2-2 (2 of 2), 5 episodes"]


def test_same_seed_same_result_on_any_number_of_threads(agent: Agent) -> None:
    results = [
        evaluate(agent, ["1-1"], episodes=6, seed=seed, threads=threads)
        for seed, threads in ((1, 1), (1, 2), (2, 2))
    ]
    assert results[0] == results[1]
    assert results[0].levels != results[2].levels


def test_any_phase_is_another_measurement_and_says_so() -> None:
    agent = Collection().agent("7-1")
    own, any_phase = (
        evaluate(agent, ["7-1"], episodes=16, noop_max=0, policy="argmax", any_phase=any_phase)
        for any_phase in (False, True)
    )
    assert ", any phase of the game, " in str(any_phase.protocol)
    # Where likeliest actions meet the same hammers, all episodes are the same.
    assert own.levels["7-1"].clear_rate in (0.0, 1.0)
    assert own.levels["7-1"].mean_progress != any_phase.levels["7-1"].mean_progress


@pytest.mark.parametrize("episodes", [0, -1, 2**31, 2**70, 1.5, "3", None])
def test_no_number_of_episodes(agent: Agent, episodes: Any) -> None:
    with pytest.raises(ConfigError, match="episodes is"):
        evaluate(agent, ["1-1"], episodes=episodes)
    with pytest.raises(ConfigError, match="episodes is"):
        evaluate_row(agent, "1-1", "1-2", episodes=episodes)
    with pytest.raises(ConfigError, match="episodes is"):
        evaluate_game(agent, episodes=episodes)


def test_a_row_goes_on_with_what_the_game_goes_on_with() -> None:
    agent = Collection().agent("8-3")
    row = evaluate_row(agent, "8-2", "8-4", episodes=6, noop_max=8, threads=1)
    assert list(row.reached) == list(row.cleared) == ["8-2", "8-3", "8-4"]
    # It knows 8-3, and not what comes before and then.
    assert row.reached["8-2"] == 1.0
    assert row.reached["8-3"] == row.cleared["8-2"]
    row = evaluate_row(agent, "8-3", "8-4", episodes=6, noop_max=8, threads=1)
    assert row.reached["8-4"] == row.cleared["8-3"] > 0.5
    assert row.cleared["8-4"] == row.result.clear_rate == 0.0
    single = evaluate_row(agent, "8-3", "8-3", episodes=6, noop_max=8, threads=2)
    assert single.result == evaluate(agent, ["8-3"], episodes=6, noop_max=8).levels["8-3"]
    assert single.cleared == {"8-3": single.result.clear_rate}
    assert json.loads(json.dumps(row.as_json()))["cleared"] == row.cleared


def test_a_row_backwards(agent: Agent) -> None:
    with pytest.raises(ConfigError, match="1-2 comes before 2-1"):
        evaluate_row(agent, "2-1", "1-2")


def test_measures_from_moments_of_ones_own(agent: Agent) -> None:
    near_the_flag = snapshot_at(make_episode(CLEAR), len(CLEAR) - 40)
    evaluation = evaluate(agent, [], episodes=6, noop_max=0, starts=[near_the_flag], threads=1)
    (name, result), *more = evaluation.levels.items()
    assert (name, more) == ("state 1", [])
    assert result.episodes == 6
    assert result.mean_progress < 300, "from there on, not from the level's start"
    assert (
        evaluate(agent, [], episodes=6, noop_max=0, starts=near_the_flag, threads=1) == evaluation
    )
    with pytest.raises(ConfigError, match="is no snapshot of a console"):
        evaluate(agent, [], episodes=1, starts=b"nothing")
    with pytest.raises(ConfigError, match="any_phase is for levels from their own starts"):
        evaluate(agent, [], episodes=1, starts=near_the_flag, any_phase=True)
