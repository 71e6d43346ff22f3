"""An agent's episode, compared with the game that it plays in, picture by picture."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from warpzone.agents.agent import Agent
from warpzone.agents.packaged import Collection
from warpzone.agents.playback import Moment, Playback
from warpzone.agents.record_episode import record_episode
from warpzone.episodes.format import (
    Episode,
)
from warpzone.episodes.outcome import Outcome
from warpzone.episodes.replay import Replay
from warpzone.errors import EpisodeError
from warpzone.nes.console import Console


def check_recorded(playback: Playback, seed: int) -> Episode:
    """The episode of a seed, compared with the game that the agent plays in, picture by picture."""
    episode = record_episode(playback, seed)
    moments: list[Moment] = []
    frames: list[np.ndarray] = []
    for moment in playback.episode(seed):
        moments.append(moment)
        frames.extend(moment.frames.copy())
    assert episode.outcome == Outcome.from_signals(moments[-1].signals)
    assert episode.frames == moments[-1].signals["frames"]
    replay = Replay(Episode.model_validate_json(episode.model_dump_json()), Console())
    idle = episode.frames - len(frames)
    for number, picture in enumerate(replay.pictures()):
        assert number < idle or bool((picture == frames[number - idle]).all()), f"frame {number}"
    np.testing.assert_array_equal(replay.console.ram, playback.env.ram())
    assert replay.exact
    return episode


def test_an_agents_episode_is_exact_and_says_who_played(agent: Agent) -> None:
    with closing(Playback(agent, "1-1", noop_max=30)) as playback:
        episode = check_recorded(playback, 3)
    player = episode.player
    assert player.kind == "agent"
    assert (player.file, player.policy, player.seed) == ("agent.safetensors", "sample", 3)
    assert (player.noops, player.sticky) == (30, 0.0)


@pytest.mark.parametrize(("repeat_action_probability", "seed"), [(0.25, 1), (0.25, 2), (0.6, 3)])
def test_sticky_buttons_are_in_the_episode(
    agent: Agent, repeat_action_probability: float, seed: int
) -> None:
    with closing(
        Playback(agent, "1-1", repeat_action_probability=repeat_action_probability)
    ) as playback:
        check_recorded(playback, seed)


@pytest.mark.parametrize("repeat_action_probability", [0.0, 0.2])
def test_through_cutscenes_to_the_flag(repeat_action_probability: float) -> None:
    with closing(
        Playback(
            Collection().agent("1-2"), "1-2", repeat_action_probability=repeat_action_probability
        )
    ) as playback:
        outcomes = (check_recorded(playback, seed).outcome for seed in range(6))
        assert any(outcome and outcome.cleared for outcome in outcomes)


def test_a_game_that_cannot_be_followed_is_an_error(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Playback(agent, "1-1")) as playback:
        ram = playback.env.ram() ^ 1
        monkeypatch.setattr(playback.env, "ram", lambda: ram)
        with pytest.raises(EpisodeError, match=r"seed 0 cannot be written.*another game"):
            record_episode(playback, 0)
