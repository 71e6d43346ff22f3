"""The whole game, played and measured by one agent or by several."""

from __future__ import annotations

import contextlib
import itertools
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.agents import write_agent

import warpzone
from warpzone import _native
from warpzone.agents.agent import Agent
from warpzone.agents.evaluate_game import GameEvaluation, evaluate_game
from warpzone.agents.packaged import Collection
from warpzone.agents.team import Team
from warpzone.errors import AgentError, ConfigError
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS

HAZARDS = _native.TILE_PLANES.index("hazard")


@pytest.fixture(scope="module")
def specialists() -> Team:
    collection = Collection()
    return Team(lambda level: (collection.agent(level), collection[level].policy))


def assert_adds_up(found: GameEvaluation) -> None:
    counts, games = list(found.levels.values()), found.protocol.games
    assert counts[0].reached == games
    for before, after in itertools.pairwise(counts):
        assert before.cleared == after.reached == before.reached - before.ended
    assert sum(count.ended for count in counts) + found.saved == games
    assert found.saved == counts[-1].cleared
    for count in counts:
        assert sum(count.causes.values()) == count.deaths >= count.ended


def test_a_game_is_as_one_that_is_played_by_itself(specialists: Team) -> None:
    found = evaluate_game(specialists, episodes=1, seed=7, noop_max=30)
    env = specialists.make_envs(1, noop_max=30, show_paths=True)
    with closing(env):
        random = specialists.agent("1-1").random(7)
        _, info = env.reset(seed=7)
        ended, levels, lives, lives_won = False, [0], int(info["lives"][0]), 0
        while not ended:
            agent, mode = specialists.players[LEVELS[int(info["level"][0])]]
            view = agent.info.env
            seen = env.observations()
            if not view.show_level:
                seen["scalars"][:, -len(LEVELS) :] = 0
            if not view.show_paths:
                hazards = seen["tiles"][:, HAZARDS]
                hazards[hazards < 128] = 0
            names = view.action_list[int(agent.act(seen, mode, random)[0])]
            _, _, terminated, truncated, info = env.step(
                np.array([specialists.actions.index(names)])
            )
            ended = bool(terminated[0] or truncated[0])
            now = int((info["final_info"] if ended else info)["lives"][0])
            lives_won += max(now - lives, 0)
            lives = now
            if not ended:
                levels.append(int(info["level"][0]))
    last = {name: values[0] for name, values in info["final_info"].items()}
    assert sum(count.reached for count in found.levels.values()) == len(set(levels)) > 2
    assert found.mean_lives_lost == last["lives_lost"]
    assert found.mean_lives_won == lives_won
    assert found.mean_levels == last["levels_cleared"]
    assert found.saved == int(last["flag"])
    assert_adds_up(found)


def test_the_same_seed_gives_the_same_games_on_any_number_of_threads(specialists: Team) -> None:
    settings: dict[str, Any] = {"episodes": 5, "lives": 1, "repeat_action_probability": 0.25}
    found = [evaluate_game(specialists, seed=3, threads=n, **settings) for n in (1, 3)]
    assert found[0] == found[1]
    assert_adds_up(found[0])
    assert sum(count.deaths for count in found[0].levels.values()) + found[0].saved == 5
    other = evaluate_game(specialists, seed=4, **settings)
    assert other.levels != found[0].levels
    read = json.loads(json.dumps(found[0].as_json()))
    assert read["protocol"]["lives"] == 1
    assert read["levels"]["1-1"]["reached"] == 5


def test_an_agent_that_knows_nothing_loses_its_lives_in_1_1(agent: Agent) -> None:
    found = evaluate_game(agent, episodes=3, policy="sample")
    assert found.levels["1-1"].deaths == 9
    assert found.levels["1-1"].ended == 3
    assert (found.saved, found.share, found.mean_frames) == (0, 0.0, None)
    assert found.protocol.policy == "sample"
    assert str(found.protocol).startswith("3 games, three lives, no warps, sampled actions, 0–30")


def test_agents_of_a_team_see_and_press_what_they_know(tmp_path: Path) -> None:
    right = EnvConfig(actions=[["right"], ["right", "A"]], show_level=True)
    left = EnvConfig(actions=[["left"], ["right", "A"], []], show_paths=True)
    agents = [
        Agent.load(write_agent(tmp_path / f"{n}.safetensors", env, seed=n))
        for n, env in enumerate((right, left))
    ]
    team = Team(lambda level: (agents[level == "1-4"], "argmax"))
    assert team.actions == [*right.action_list, ["left"], []]
    numbers = np.array([LEVELS.index("1-4"), LEVELS.index("2-2"), LEVELS.index("1-4")], np.int32)
    playing = [agents[LEVELS[number] == "1-4"] for number in numbers]
    with contextlib.ExitStack() as stack:
        envs = stack.enter_context(closing(team.make_envs(3, noop_max=0)))
        envs.reset(options={"level": [LEVELS[number] for number in numbers]})
        random = agents[0].random(0)
        # Beside them each game by itself, which shows what its agent knows from the beginning.
        plain = []
        for number, agent in zip(numbers, playing, strict=True):
            alone = warpzone.make(
                LEVELS[number],
                actions=team.actions,
                show_level=agent.info.env.show_level,
                show_paths=agent.info.env.show_paths,
            )
            stack.callback(alone.close)
            plain.append((alone, alone.reset()[0]))
        for step in range(40):  # to the first pit, and there to look at the first firebar
            seen = team.look(envs, numbers)
            actions = team.act(seen, numbers, random)
            for game, (_, shown) in enumerate(plain):
                assert isinstance(seen, dict)
                for name, values in seen.items():
                    np.testing.assert_array_equal(values[game], shown[name], err_msg=name)
                agent, mine = playing[game], {name: values[None] for name, values in shown.items()}
                own = agent.info.env.action_list[int(agent.act(mine, "argmax", random)[0])]
                assert team.actions[actions[game]] == own
            action = 0 if step < 20 else 3
            envs.step(np.full(3, action))
            plain = [(alone, alone.step(action)[0]) for alone, _ in plain]
        decision = team.decide(plain[1][1], 0, random)
    assert decision.probabilities.sum() == pytest.approx(1)
    assert decision.probabilities[2:].tolist() == [0, 0]


def test_what_does_not_fit_is_refused(tmp_path: Path, agent: Agent) -> None:
    slow = Agent.load(write_agent(tmp_path / "slow.safetensors", EnvConfig(frame_skip=8)))
    with pytest.raises(AgentError, match="frame_skip is 4 of the one and 8 of the other"):
        Team(lambda level: (slow if level == "8-4" else agent, "sample"))
    with pytest.raises(ConfigError, match="policy is for one agent"):
        evaluate_game(Team.of(agent), policy="argmax")
    with pytest.raises(ConfigError, match="episodes is 0"):
        evaluate_game(agent, episodes=0)
    with pytest.raises(ConfigError, match="lives"):
        evaluate_game(agent, episodes=1, lives=2)  # type: ignore[arg-type]  # what is refused
