from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.support.toy import CUES, LENGTH, STEP_PX, WAIT, Corridor

from warpzone.smb.config import EnvConfig
from warpzone.training.evaluation import play_episodes, quotas, wilson


def cue(observation: Any) -> np.ndarray:
    planes = observation["tiles"].reshape(len(observation["tiles"]), CUES, -1)
    return np.asarray(planes[:, :, 0].argmax(1), np.int64)


def wait(observation: Any) -> np.ndarray:
    return np.full(len(observation["tiles"]), WAIT, np.int64)


@pytest.mark.parametrize(("games", "groups", "episodes"), [(4, 1, 10), (5, 2, 12), (8, 2, 3)])
def test_perfect_and_hopeless_play(games: int, groups: int, episodes: int) -> None:
    env = Corridor(EnvConfig(), games, groups)
    perfect = play_episodes(cue, env, episodes, seed=1)
    assert perfect.clear_rate == 1
    assert perfect.episodes == episodes
    assert perfect.mean_progress == LENGTH * STEP_PX
    assert perfect.mean_frames == LENGTH * 4
    hopeless = play_episodes(wait, env, episodes, seed=1)
    assert hopeless.clear_rate == 0
    assert hopeless.mean_frames is None
    assert hopeless.ci95[0] == 0


def test_short_episodes_are_not_counted_more_often() -> None:
    """Game 0 dies at once, again and again; game 1 clears, slowly. Each is half of the truth."""

    class Unequal(Corridor):
        def recv(self, group: int) -> Any:
            self.state[0, :2] = (0, 1)  # its next wrong step is deadly
            return super().recv(group)

    def act(observation: Any) -> np.ndarray:
        right = cue(observation)
        return np.where(np.arange(len(right)) == 0, (right + 1) % CUES, right)

    result = play_episodes(act, Unequal(EnvConfig(), 2, 1), 20)
    assert result.clear_rate == 0.5


def test_quotas_are_as_equal_as_can_be() -> None:
    assert quotas(100, 50).tolist() == [2] * 50
    assert quotas(7, 3).tolist() == [3, 2, 2]
    assert quotas(2, 3).tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Published values: Newcombe 1998, table I, and R's binom.confint(method = "wilson").
    [(81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)
