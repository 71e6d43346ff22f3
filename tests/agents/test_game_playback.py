"""The whole game seen frame by frame, into films and windows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from warpzone.agents.agent import Agent
from warpzone.agents.playback import GamePlayback, Moment
from warpzone.agents.team import Team
from warpzone.episodes.outcome import Outcome
from warpzone.errors import ConfigError
from warpzone.smb.memory import OPER_MODE
from warpzone.video.record import record
from warpzone.viewers.watch import AgentShow


@pytest.fixture
def playback(agent: Agent) -> Iterator[GamePlayback]:
    with closing(GamePlayback(Team.of(agent), lives=3)) as player:
        yield player


def test_every_frame_of_three_lives_is_shown(playback: GamePlayback) -> None:
    moments = list(playback.episode(2))
    last = moments[-1].signals
    assert [moment.ended for moment in moments] == [False] * (len(moments) - 1) + [True]
    assert (last["lives_lost"], last["lives"]) == (3, 0)
    assert sum(len(moment.frames) for moment in moments) == last["frames"] + 1
    # Before the first decision the title has been seen, after a death a black screen.
    opening = moments[0].frames
    assert len(opening) > 200
    assert len({frame.tobytes() for frame in opening[:200]}) > 4
    after_death = next(moment for moment in moments if moment.signals["death"])
    assert len(after_death.frames) > 200
    assert len(playback.aftermath(Outcome.from_signals(last))) == 600
    ram = playback._games.ram(0)
    assert ram[OPER_MODE] in (0, 3)  # it was over, and the title comes back


def test_the_same_seed_gives_the_same_game(playback: GamePlayback) -> None:
    def played(seed: int) -> list[int]:
        return [moment.action for moment in playback.episode(seed)]

    first = played(3)
    assert first != played(4)
    assert first == played(3)


def test_agents_change_with_the_levels() -> None:
    one, rest = Agent.load("1-1"), Agent.load("1-2")
    team = Team(lambda level: (one, "argmax") if level == "1-1" else (rest, "sample"))
    with closing(GamePlayback(team, lives=1)) as playback:
        shown: list[tuple[str, str, Moment]] = []
        for moment in playback.episode(0):
            shown.append((playback.level, playback.policy, moment))
            assert playback.agent is (one if playback.level == "1-1" else rest)
            if playback.level == "1-2" and len(shown) > 5 and shown[-5][0] == "1-2":
                break
        levels = [level for level, _, _ in shown]
        assert sorted(set(levels)) == ["1-1", "1-2"]
        assert {(level, policy) for level, policy, _ in shown} == {
            ("1-1", "argmax"),
            ("1-2", "sample"),
        }
        passed = shown[levels.index("1-2") - 1][2]
        assert passed.signals["levels_cleared"] == 1
        assert len(passed.frames) > 200  # into the castle, and the black screen
        playback.policy = "argmax"  # as the key A does: it holds from now on
        next(iter(playback.episode(0)))
        assert playback.policy == "argmax"


def test_a_window_shows_what_level_is_played(playback: GamePlayback) -> None:
    show = AgentShow(lambda name: playback, ["1-1"], seed=2)
    statuses = set()
    for _ in range(600):
        show.advance()
        statuses.add(tuple(show.picture().status[:2]))
    assert statuses == {("1-1", "sample")}
    while show.stats.episodes == 0:
        show.advance()
    assert show.stats.cleared == 0


def test_a_film_of_the_whole_game(agent: Agent, tmp_path: Path) -> None:
    with closing(GamePlayback(Team.of(agent), lives=1)) as playback:
        made = record(playback, tmp_path / "game.gif", tries=1, seed=2)
        moments = list(playback.episode(2))
    assert made.frames == sum(len(moment.frames) for moment in moments) + 100
    assert (tmp_path / "game.gif").stat().st_size > 10_000
    assert made.attempts[0].outcome == Outcome.from_signals(moments[-1].signals)


def test_what_a_whole_game_does_not_have(playback: GamePlayback) -> None:
    with pytest.raises(ConfigError, match="inputs of a whole game"):
        _ = playback.env
    assert playback.title == "the whole game"
    assert isinstance(next(iter(playback.episode(0))).frames, np.ndarray)
