"""Teaches an agent to take extra lives and mushrooms on its way: a search finds how, it imitates.

    python -m scripts.teach_finds AGENT OUT.safetensors --lives 1-1 --mushrooms 5-3,6-4

Gradients do not find them: who stops below a block loses progress at once, and what comes up has to
be waited for. So, as in DAgger (Ross et al. 2011), for each:

1. A search from the level's start looks for it (`env.life_reward`, `env.power_reward`) and tells
   where it appears; others begin on the agent's own way, a little before that place.
2. The agent plays. In states of its own before that place the ways that are known are tried with
   small changes, and the soonest that catches it is written down, with what the agent does after.
3. The network learns what was done in these ways, and to stay what it was in its states of all its
   levels, by KL divergence, and to value states as it did.

The file written tells how the agent came about, as that of a training does.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from warpzone.agents.agent import Agent
from warpzone.errors import ConfigError, WarpzoneError
from warpzone.smb.config import EnvConfig
from warpzone.smb.memory import MEMORY
from warpzone.smb.search import Trajectory
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training.agent_file import PolicyMode, save_agent
from warpzone.training.provenance import code_commit, portable

FIRST_SEARCH, SEARCHES, SEARCH = 2_000_000, 8, 1_000_000
"""Agent steps of the search from the start; how many begin on the agent's way, and their steps."""
BEFORE, NEAR, BEHIND = 145, 35, 70
"""px before the find between which ways begin, and px behind it where they may lead."""
PLAYERS, TRIES, LONGEST = 32, 256, 60
"""Games that come to where ways begin, ways tried from there, and their steps at the most."""
LIKELIEST, STICKY = 0.6, 0.1
"""How often those games play likeliest actions, and the probability that a button sticks."""
PHASES, BIG = 0.5, 0.1
"""Share of games in another phase; and of its own in which Mario begins big or with fire."""
KNOWN = 120
"""Ways that others are made of; new ones replace the oldest."""
THEN, LIVES_ON = 45, 70
"""Steps after the find that are learnt too, and that Mario must live on for."""
LATEST, HELD = 24, 12
"""Where he would not: steps after the find in which an action is held, and for how many at most."""
OWN = -1
"""In the place of an action: what the agent does."""
OWN_GAMES, OWN_STEPS, OWN_EVERY = 24, 330, 5
"""Games and steps of each level in which the agent stays what it was, every which step."""
OWN_KINDS: list[tuple[PolicyMode, float, float]] = [("argmax", 0.0, 1.0), ("sample", 0.25, PHASES)]
"""How it plays them, one kind after the other: the policy, the probability that a button sticks,
the share of games in another phase."""
LEARNING_RATE, ROWS, OWN_ROWS, STAY = 2e-4, 192, 512, 3.0
"""Of Adam, falling to 0; samples of ways and of its own states in an update; weight of staying the
same."""
Tiles: TypeAlias = dict[str, NDArray[Any]]
"""Observations of games, arrays [k, ...] by name."""
POWER_UP = MEMORY["object_active"] + 5
"""Address that tells whether what comes out of a block, the sixth thing that moves, is there."""


@dataclass(frozen=True)
class Find:
    """Something that a level hides."""

    name: str
    level: str
    signal: str
    """That grows when Mario has it, of those that `step` tells."""
    paid_by: str
    """The setting with which a search looks for it."""
    kind: int
    """As the game numbers what comes out of blocks: 0 a mushroom, 3 an extra life."""

    def __str__(self) -> str:
        return f"the {self.name} of {self.level}"


def extra_life(level: str) -> Find:
    """Returns the extra life of a level."""
    return Find("extra life", level, "lives", "life_reward", 3)


def mushroom(level: str) -> Find:
    """Returns a mushroom of a level that makes a small Mario big."""
    return Find("mushroom", level, "status", "power_reward", 0)


@dataclass
class Way:
    """Actions up to a find, and px from the left end of the area before each."""

    places: list[int]
    actions: list[int]


@dataclass
class Shown:
    """Observations, and what to do then."""

    rows: list[Tiles] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)

    def add(self, observation: Tiles, action: int) -> None:
        """Takes the first game's."""
        self.rows.append({name: array[0].copy() for name, array in observation.items()})
        self.actions.append(action)

    def arrays(self) -> Tiles:
        """Returns the observations, arrays [k, ...] by name."""
        return {name: np.stack([row[name] for row in self.rows]) for name in self.rows[0]}


def by_name(observation: Any) -> Tiles:
    """Returns the observation of an agent that sees `tiles`.

    Raises:
        ConfigError: it sees something else.
    """
    if not isinstance(observation, dict):
        raise ConfigError("finds are taught to agents that see tiles, and this sees pictures")
    return observation


def settings(agent: Agent, level: str, **changes: object) -> EnvConfig:
    """Returns how the agent plays a level, without a limit of steps."""
    envs = agent.make_envs(level, 1, noop_max=0, repeat_action_probability=0.0, threads=1)
    with closing(envs):
        plain = envs.config.model_dump()
    return EnvConfig(**{**plain, "no_progress_steps": None, **changes})


def search(agent: Agent, find: Find, seed: int) -> tuple[int, list[Way]]:
    """Returns px of Mario when the find appears, and ways to it that begin on the agent's own.

    Raises:
        ConfigError: none is found, or the agent does not come so far.
    """
    config = settings(agent, find.level, **{find.paid_by: 1.0})
    with closing(MarioVectorEnv(config=config, num_envs=1, threads=1)) as envs:
        first = envs.explorer(find.level, seed).search(FIRST_SEARCH).inputs
        where, way = follow(envs, find, list(first))
        if way is None:
            raise ConfigError(f"{find} is not found")
        own = own_way(agent, envs, where - NEAR, seed)
        states = envs.record_initial_states(find.level, Trajectory(bytes(own)))
        near = [state for state in states if state.x >= where - BEFORE]
        ways = []
        for number in range(SEARCHES if near else 0):
            state = near[number * len(near) // SEARCHES]
            beyond = envs.explorer_from(state, seed + number).search(SEARCH).inputs
            _, way = follow(envs, find, [*own[: state.step], *beyond])
            if way is not None:
                ways.append(way)
    if not ways:
        raise ConfigError(f"no way to {find} begins on the agent's own")
    return where, ways


def own_way(agent: Agent, envs: MarioVectorEnv, where: int, seed: int) -> list[int]:
    """Returns the actions with which the agent comes as far as `where` px.

    Raises:
        ConfigError: it does not.
    """
    observation, _ = envs.reset(seed=0)
    random, own, x = agent.random(seed), [], 0
    while x < where:
        action = agent.act(observation, "argmax", random)
        observation, _, terminated, truncated, info = envs.step(action)
        own.append(int(action[0]))
        x = int(info["x"][0])
        if terminated[0] or truncated[0]:
            raise ConfigError(f"the agent does not come to what it is to find, near {where} px")
    return own


def follow(envs: MarioVectorEnv, find: Find, actions: list[int]) -> tuple[int, Way | None]:
    """Plays actions from the level's start in one game; returns px of Mario when the find that he
    takes is first seen, and the way to it; None: he takes none."""
    _, info = envs.reset(seed=0)
    had, places, where, was_there = int(info[find.signal][0]), [], -1, False
    for count, action in enumerate(actions, start=1):
        places.append(int(info["x"][0]))
        _, _, terminated, truncated, info = envs.step(np.array([action]))
        ram = envs.ram(0)
        there = ram[POWER_UP] != 0 and ram[MEMORY["power_up_type"]] == find.kind
        if terminated[0] or truncated[0]:
            break
        if int(info[find.signal][0]) > had:
            return where, Way(places, actions[:count])
        if there and not was_there:
            where = int(info["x"][0])
        was_there = there
    return where, None


def demonstrate(
    agent: Agent, find: Find, where: int, ways: list[Way], wanted: int, seconds: float, seed: int
) -> Shown:
    """Returns what leads to the find from the agent's own states before it, and what the agent does
    after it."""
    draws = np.random.default_rng(seed)
    config = settings(
        agent, find.level, noop_max=30, repeat_action_probability=STICKY, phase_share=PHASES
    )
    shown, found, tried, end = Shown(), 0, 0, time.monotonic() + seconds
    with (
        closing(MarioVectorEnv(config=config, num_envs=PLAYERS, threads=1)) as players,
        closing(MarioVectorEnv(config=config, num_envs=TRIES, threads=1)) as games,
    ):
        games.reset(seed=0)
        observation, _ = players.reset(seed=seed)
        random = agent.random(seed)
        goals = draws.integers(where - BEFORE, where - NEAR, PLAYERS)
        while found < wanted and time.monotonic() < end:
            mode: PolicyMode = "argmax" if draws.random() < LIKELIEST else "sample"
            action = agent.act(observation, mode, random)
            observation, _, terminated, truncated, info = players.step(action)
            for player in range(PLAYERS):
                x = int(info["x"][player])
                if terminated[player] or truncated[player]:
                    goals[player] = draws.integers(where - BEFORE, where - NEAR)
                elif goals[player] <= x < goals[player] + 16:
                    goals[player] = np.iinfo(goals.dtype).max  # once an episode
                    tried += 1
                    state = players.save_state(player)
                    had = int(info[find.signal][player])
                    actions = catch(games, state, find, had, ways, x, draws)
                    if actions is None:
                        continue
                    then = live_on(agent, games, state, actions, draws, random)
                    if then is None:
                        continue
                    found += 1
                    ways.append(show(agent, games, state, actions, then, shown, random))
                    del ways[:-KNOWN]
    print(f"{find} is reached from {found} of {tried} states of the agent's own", flush=True)
    return shown


def catch(
    games: MarioVectorEnv,
    state: bytes,
    find: Find,
    had: int,
    ways: list[Way],
    x: int,
    draws: np.random.Generator,
) -> list[int] | None:
    """Tries what is left of known ways at `x` px, with small changes; returns the actions that
    bring the find soonest, where its signal was `had`, or None."""
    tries = [changed(rest(ways[draws.integers(len(ways))], x, draws), draws) for _ in range(TRIES)]
    for game in range(TRIES):
        games.load_state(state, game)
    over = np.zeros(TRIES, np.bool_)
    for step in range(min(max(map(len, tries)), LONGEST)):
        actions = np.array([one[step] if step < len(one) else 0 for one in tries])
        _, _, terminated, truncated, info = games.step(actions)
        over |= terminated | truncated
        caught = np.flatnonzero((info[find.signal] > had) & ~over)
        if len(caught):
            one = tries[int(caught[0])]
            return [*one, *[0] * LONGEST][: step + 1]
    return None


def rest(way: Way, x: int, draws: np.random.Generator) -> list[int]:
    """Returns the actions of a way from about `x` px on."""
    nearest = int(np.abs(np.array(way.places) - x).argmin()) + int(draws.integers(-2, 3))
    return way.actions[max(0, min(nearest, len(way.actions) - 5)) :]


def changed(actions: list[int], draws: np.random.Generator) -> list[int]:
    """Returns a copy with up to three changes: actions left out, held for longer, replaced, or idle
    ones put in."""
    actions = list(actions)
    for _ in range(draws.integers(4)):
        at, length = int(draws.integers(max(len(actions), 1))), int(draws.integers(1, 4))
        match int(draws.integers(4)):
            case 0:
                del actions[at : at + length]
            case 1:
                actions[at:at] = actions[at : at + 1] * length
            case 2:
                other = actions[int(draws.integers(max(len(actions), 1))) :][:1]
                actions[at : at + length] = other
            case _:
                actions[at:at] = [0] * int(draws.integers(1, 6))
    return actions


def live_on(
    agent: Agent,
    games: MarioVectorEnv,
    state: bytes,
    actions: list[int],
    draws: np.random.Generator,
    random: torch.Generator,
) -> list[int] | None:
    """Returns what to do in `THEN` steps after `actions` so that Mario lives on: what the agent
    does, or that with an action held in between with which he comes farthest; None: he dies."""
    for game in range(TRIES):
        games.load_state(state, game)
    for action in actions:
        games.step(np.full(TRIES, action))
    plans = np.full((TRIES, LIVES_ON), OWN)
    for plan in plans[1:]:
        begin = int(draws.integers(LATEST))
        plan[begin : begin + int(draws.integers(1, HELD + 1))] = draws.integers(agent.info.actions)
    alive = np.ones(TRIES, np.bool_)
    for step in range(LIVES_ON):
        own = agent.act(games.observations(), "argmax", random)
        plan = plans[:, step]
        _, _, terminated, truncated, info = games.step(np.where(plan == OWN, own, plan))
        alive &= ~(terminated | truncated)
    if not alive.any():
        return None
    best = 0 if alive[0] else int(np.where(alive, info["x"], -1).argmax())
    then: list[int] = plans[best, :THEN].tolist()
    return then


def show(
    agent: Agent,
    games: MarioVectorEnv,
    state: bytes,
    actions: list[int],
    then: list[int],
    shown: Shown,
    random: torch.Generator,
) -> Way:
    """Writes down what is seen and done along actions and after them; returns them as a way."""
    games.load_state(state, 0)
    everyone = np.zeros(TRIES, np.int64)
    places = []
    for planned in [*actions, *then]:
        observation = by_name(games.observations())
        ram = games.ram(0).astype(int)
        places.append(ram[MEMORY["x_page"]] * 256 + ram[MEMORY["x"]])
        action = planned
        if planned == OWN:
            first = {name: array[:1] for name, array in observation.items()}
            action = int(agent.act(first, "argmax", random)[0])
        shown.add(observation, action)
        everyone[0] = action
        _, _, terminated, truncated, _ = games.step(everyone)
        if terminated[0] or truncated[0]:
            break
    return Way(places[: len(actions)], actions)


def own_states(agent: Agent, places: list[tuple[Find, int]]) -> Tiles:
    """Returns observations [k, ...] of the agent's own episodes in all its levels; those left out
    that ways to finds, from these px on, lead past while Mario has them not."""
    rows: list[Tiles] = []
    for played in agent.levels:
        here = [(find, where) for find, where in places if find.level == played]
        for mode, sticky, phases in OWN_KINDS:
            config = settings(
                agent,
                played,
                noop_max=30,
                repeat_action_probability=sticky,
                phase_share=phases,
                power_share=BIG,
            )
            with closing(MarioVectorEnv(config=config, num_envs=OWN_GAMES, threads=1)) as envs:
                rows += seen_by(agent, envs, mode, here)
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def seen_by(
    agent: Agent, envs: MarioVectorEnv, mode: PolicyMode, places: list[tuple[Find, int]]
) -> list[Tiles]:
    """Returns what the agent sees in its games, without what `own_states` leaves out."""
    rows: list[Tiles] = []
    observation, info = envs.reset(seed=1)
    random, had = agent.random(1), info["lives"].copy()
    for step in range(OWN_STEPS):
        action = agent.act(observation, mode, random)
        observation, _, _, _, info = envs.step(action)
        if step % OWN_EVERY:
            continue
        kept = np.ones(OWN_GAMES, np.bool_)
        for find, where in places:
            past = (info["x"] >= where - BEFORE - 10) & (info["x"] <= where + BEHIND)
            has = info[find.signal] > (0 if find.signal == "status" else had)
            kept &= ~past | has
        rows.append({name: array[kept] for name, array in by_name(observation).items()})
    return rows


def imitate(agent: Agent, shown: Shown, own: Tiles, updates: int, seed: int) -> float:
    """Changes the agent's network; returns how often its likeliest action is the shown one.

    What the network says of the value of a state is to stay too: a training that goes on from here
    would else begin with large errors, and forget all in repairing them."""
    policy = agent.policy.requires_grad_(True)

    def decide(observation: Tiles) -> tuple[torch.Tensor, torch.Tensor]:
        tensors = {name: torch.from_numpy(array) for name, array in observation.items()}
        logits, values = policy(tensors)
        return logits.float().log_softmax(1), values.float()

    def all_of(arrays: Tiles) -> tuple[torch.Tensor, torch.Tensor]:
        count = len(next(iter(arrays.values())))
        slices = [slice(start, start + 1024) for start in range(0, count, 1024)]
        with torch.no_grad():
            parts = [decide({name: array[one] for name, array in arrays.items()}) for one in slices]
        return torch.cat([one for one, _ in parts]), torch.cat([one for _, one in parts])

    ways, wanted = shown.arrays(), torch.tensor(shown.actions)
    was, own_values = all_of(own)
    _, way_values = all_of(ways)
    spread = own_values.var()
    optimizer = torch.optim.Adam(policy.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, updates)
    draws = np.random.default_rng(seed)
    for _ in range(updates):
        some = draws.integers(len(wanted), size=ROWS)
        others = draws.integers(len(was), size=OWN_ROWS)
        rows = {name: np.concatenate([ways[name][some], own[name][others]]) for name in ways}
        log_probs, values = decide(rows)
        imitation = functional.nll_loss(log_probs[:ROWS], wanted[some])
        divergence = (was[others].exp() * (was[others] - log_probs[ROWS:])).sum(1).mean()
        drift = (values - torch.cat([way_values[some], own_values[others]])).square().mean()
        optimizer.zero_grad()
        torch.autograd.backward(imitation + STAY * (divergence + drift / spread))
        optimizer.step()
        schedule.step()
    policy.requires_grad_(False)
    return float((all_of(ways)[0].argmax(1) == wanted).float().mean())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("agent", help="a run directory, a file, or generalist")
    parser.add_argument("out", type=Path, help="the file that is written")
    parser.add_argument("--lives", default="", help="levels, as in 1-1,8-2")
    parser.add_argument("--mushrooms", default="", help="levels, as in 5-3,6-4")
    parser.add_argument("--ways", type=int, default=300, help="to each, to learn from")
    parser.add_argument("--seconds", type=float, default=200, help="for each at the most")
    parser.add_argument("--updates", type=int, default=6000, help="of the network")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    begun = time.monotonic()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    try:
        agent = Agent.load(given.agent)
        finds = [extra_life(level) for level in given.lives.split(",") if level]
        finds += [mushroom(level) for level in given.mushrooms.split(",") if level]
        if not finds:
            raise ConfigError("nothing to find: name levels with --lives or --mushrooms")
        shown, places = Shown(), []
        for find in finds:
            where, ways = search(agent, find, given.seed)
            print(f"{find} appears at {where} px; {len(ways)} ways to it searched", flush=True)
            more = demonstrate(agent, find, where, ways, given.ways, given.seconds, given.seed)
            if not more.actions:
                raise ConfigError(f"none of the agent's own states is led to {find}")
            shown.rows += more.rows
            shown.actions += more.actions
            places.append((find, where))
        same = imitate(agent, shown, own_states(agent, places), given.updates, given.seed)
        given_as = sys.argv[1:] if arguments is None else arguments
        command = ["python", "-m", "scripts.teach_finds", *map(portable, given_as)]
        info = agent.info.model_copy(
            update={
                "earlier": (*agent.info.earlier, agent.info.stage),
                "command": shlex.join(command),
                "commit": code_commit(),
                "steps": 0,
                "seconds": time.monotonic() - begun,
                "threads": 1,
                "clear_rate": None,
            }
        )
        save_agent(given.out, agent.policy.state_dict(), info)
    except WarpzoneError as error:
        raise SystemExit(f"error: {error}") from None
    print(f"{given.out}: likeliest actions are those shown in {same:.1%} of {len(shown.actions)}")


if __name__ == "__main__":
    main()
