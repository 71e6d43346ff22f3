"""A trained agent: loaded by a name, and put into games that it can play."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from warpzone.agents.saliency import Heat, saliency
from warpzone.errors import AgentError
from warpzone.hardware import pick_device
from warpzone.nes.arrays import Arrays
from warpzone.nes.cartridge import RomSource
from warpzone.nes.checks import checked_seed, require, whole_number
from warpzone.nes.rom import Rom
from warpzone.nes.start_states import StartState
from warpzone.ppo import losses as ppo
from warpzone.ppo.policy import SCALARS, Decide, Policy, as_dict, shapes_of, to_tensors
from warpzone.smb.config import EnvConfig, env_config
from warpzone.smb.env import MarioEnv
from warpzone.smb.levels import parse_levels
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training.agent_file import AgentInfo, PolicyMode, load_agent
from warpzone.training.native_update import NativePolicy, kernels_for, why_not_native
from warpzone.training.recurrent import At, Memory, RecurrentPolicy
from warpzone.training.resolve_agent import AgentSource, resolve_agent


@dataclass(frozen=True, slots=True)
class Decision:
    """Holds what an agent does in one game, and what its policy gave out for it.

    Attributes:
        action: index of the action taken.
        value: estimate of the discounted rewards to come, in the unit of the reward.
        probabilities: float32[actions] of all actions, with sum 1.
    """

    action: int
    value: float
    probabilities: NDArray[np.float32]


class Agent:
    """Plays with a policy, and knows what it was made for.

    Attributes:
        policy: the network; gives logits and values.
        info: how it was trained.
        path: the file that it came from.
        packaged_for: the level that a packaged agent was asked for by; None of others.
        policy_mode: what it plays best with, as far as that is known: "sample" but for packaged
            agents.
    """

    def __init__(
        self,
        policy: Policy,
        info: AgentInfo,
        path: Path,
        *,
        packaged_for: str | None = None,
        policy_mode: PolicyMode = "sample",
    ) -> None:
        """
        Args:
            policy: the network.
            info: how it was trained.
            path: the file that it came from.
            packaged_for: the level that it comes with warpzone for, and was asked for by.
            policy_mode: what it plays best with.
        """
        self.policy = policy
        self.info = info
        self.path = path
        self.policy_mode: PolicyMode = policy_mode
        self.device = next(policy.parameters()).device
        self.packaged_for = packaged_for

    @classmethod
    def load(cls, name: str | Path | AgentSource, device: str = "cpu") -> Self:
        """Loads an agent; nothing in its file is executed.

        Args:
            name: a `.safetensors` file; a run directory, for its best agent, else its final one; a
                level, "1-1" to "8-4", for the agent that comes with warpzone for it; or the name
                of such an agent's file; or `hf://OWNER/NAME`, for one of the Hugging Face Hub. What
                the command line takes, see `resolve_agent`.
            device: that it computes on: "auto", "cpu", "cuda", "cuda:1" …

        Raises:
            AgentError: nothing there, no run, no agent in it yet, or a damaged or foreign file.
            ConfigError: no such device.
        """
        fits = isinstance(name, str | Path | AgentSource)
        require(fits, "name", name, "a file, a run directory, a level or a name")
        source = name if isinstance(name, AgentSource) else resolve_agent(name)
        policy, info = load_agent(source.file, pick_device(device))
        return cls(policy, info, source.file, packaged_for=source.level, policy_mode=source.policy)

    def __getstate__(self) -> dict[str, Any]:
        # Native code is made anew from the weights.
        return {name: value for name, value in self.__dict__.items() if name != "_decide_many"}

    @property
    def levels(self) -> tuple[str, ...]:
        """What it was trained on, in the order of the game."""
        return tuple(self.info.env.levels)

    @property
    def level(self) -> str:
        """The level that it is packaged for, else the first that it was trained on."""
        return self.packaged_for or self.levels[0]

    @property
    def title(self) -> str:
        """Says in words what it saw in training, and for how long."""
        game = self.info.game
        seen = self.info.env.observation if game.name is None else game.observation
        of = "" if game.name is None else f" of {game.name}"
        return f"{seen} agent{of}, {self.info.steps:,} steps"

    @cached_property
    def _decide_many(self) -> Decide:
        """What decides in many games: the policy, or the same weights in native code."""
        if why_not_native(self.policy, self.device) is not None:
            return self.policy
        return NativePolicy(self.policy, kernels_for(False) or "")

    def memory(self, games: int) -> Memory | None:
        """Returns what this agent remembers of so many games in which episodes begin, for `act` and
        `decide`, which change it; `forget` of it is for games in which another episode has begun.
        None: the agent has no memory. Raises `ConfigError`: no number of games."""
        games = whole_number(games, "games")
        require(games >= 1, "games", games, "at least 1")
        return Memory.of(self.policy, games) if isinstance(self.policy, RecurrentPolicy) else None

    def random(self, seed: int) -> torch.Generator:
        """Returns a source of random draws for `act`. Raises `ConfigError`: an impossible seed."""
        return torch.Generator(self.device).manual_seed(checked_seed(seed))

    @torch.inference_mode()
    def act(
        self,
        observation: Arrays,
        policy: PolicyMode,
        generator: torch.Generator,
        memory: Memory | None = None,
    ) -> NDArray[np.int64]:
        """Chooses actions.

        Args:
            observation: of n games, arrays [n, ...] as the vector environment gives them.
            policy: draw from the action probabilities, or take the likeliest action.
            generator: from `random`; not used by argmax.
            memory: of these games, see `memory`; of an agent that has one.

        Returns:
            int64[n].

        Raises:
            AgentError: the agent has a memory, and none is given; or the observation is not one of
                the games that it plays.
            ConfigError: another policy, no generator, or a memory that is not of these games.
        """
        self._check_asked(observation, policy, generator, memory)
        decide = self._decide_with(memory) or self._decide_many
        logits, _ = decide(to_tensors(observation, self.device))
        actions: NDArray[np.int64] = _choose(logits, policy, generator).cpu().numpy()
        return actions

    @torch.inference_mode()
    def decide(
        self,
        observation: Arrays,
        policy: PolicyMode,
        generator: torch.Generator,
        memory: Memory | None = None,
    ) -> Decision:
        """Chooses as `act` does for one game, whose observation has no first axis, with reasons.
        Raises as `act` does."""
        if isinstance(observation, dict):
            batch: Arrays = {name: np.asarray(one)[None] for name, one in observation.items()}
        else:
            batch = np.asarray(observation)[None]
        self._check_asked(batch, policy, generator, memory)
        decide = self._decide_with(memory) or self.policy
        logits, values = decide(to_tensors(batch, self.device))
        action = int(_choose(logits, policy, generator)[0])
        return Decision(action, float(values[0]), logits[0].softmax(0).cpu().numpy())

    def saliency(
        self, observation: Arrays, ram: NDArray[np.uint8], memory: Memory | None = None
    ) -> Heat | None:
        """Returns how much each part of the screen counts in the decision about one observation,
        with what is remembered before it; see `warpzone.agents.saliency`.

        Raises:
            AgentError: the agent has a memory, and none is given.
        """
        self._decide_with(memory)
        policy = self.policy if memory is None else At(memory)
        return saliency(policy, observation, ram, self.info.env)

    def _check_asked(
        self,
        observation: Arrays,
        policy: PolicyMode,
        generator: torch.Generator,
        memory: Memory | None,
    ) -> None:
        """Raises `AgentError` or `ConfigError`. Native code is given what passes here."""
        require(policy in get_args(PolicyMode), "policy", policy, "'sample' or 'argmax'")
        if policy == "sample":
            fits = isinstance(generator, torch.Generator)
            require(fits, "generator", generator, "one of agent.random(seed)")
        arrays = as_dict(observation)
        fits = arrays.keys() == self.info.shapes.keys() and all(
            isinstance(array, np.ndarray)
            and array.dtype == (np.float32 if name == SCALARS else np.uint8)
            and array.shape[1:] == self.info.shapes[name]
            for name, array in arrays.items()
        )
        counts = {len(array) for array in arrays.values()} if fits else set()
        if len(counts) != 1:
            given = {
                name: f"{one.dtype}{list(one.shape)}" if isinstance(one, np.ndarray) else type(one)
                for name, one in arrays.items()
            }
            raise AgentError(
                f"{self.path} plays by observations of n games {self.info.shapes}, each behind an"
                f" axis of n, and was given {given}"
            )
        if memory is not None:
            fits = isinstance(memory, Memory) and memory.policy is self.policy
            require(fits, "memory", memory, "one of agent.memory(games), of this agent")
            games, remembered = counts.pop(), len(memory.state)
            require(games == remembered, "memory of games", remembered, f"of {games} games")

    def _decide_with(self, memory: Memory | None) -> Decide | None:
        """Returns what decides with a memory; None: the agent has none."""
        if isinstance(self.policy, RecurrentPolicy) and memory is None:
            raise AgentError(
                f"{self.path} has a memory: begin with agent.memory(games), hand it to act or"
                " decide each time, and tell it which games begin anew, memory.forget(games)"
            )
        return None if memory is None else memory.decide

    def make_env(
        self, level: str, *, noop_max: int, repeat_action_probability: float, rom: RomSource = None
    ) -> MarioEnv:
        """Makes one game as this agent knows it, on any level, with every frame kept for showing.

        Raises:
            LevelError: no such level.
            AgentError: the observations of this warpzone are not those it was trained on.
        """
        self.check_plays_levels()
        settings = self._settings(level, noop_max, repeat_action_probability)
        env = MarioEnv(config=settings, rom=rom, keep_frames=True)
        self._check_fit(env)
        return env

    def make_envs(
        self,
        level: str,
        num_envs: int,
        *,
        noop_max: int,
        repeat_action_probability: float,
        last_level: str | None = None,
        any_phase: bool = False,
        start_states: tuple[StartState, ...] = (),
        threads: int | None = None,
        rom: RomSource = None,
    ) -> MarioVectorEnv:
        """Makes many games of one level as this agent knows them, in two groups where possible.

        With `last_level` they go on from level to level up to that one. With `any_phase` what the
        game counts by is drawn anew for each (`phase_share`). With `start_states` they begin there,
        after idle frames where Mario stands.

        Raises:
            LevelError: no such level.
            AgentError: the observations of this warpzone are not those it was trained on.
        """
        self.check_plays_levels()
        envs = MarioVectorEnv(
            num_envs=num_envs,
            num_groups=min(2, num_envs),
            threads=threads,
            rom=rom,
            config=self._settings(
                level,
                noop_max,
                repeat_action_probability,
                last_level,
                any_phase,
                start_states,
            ),
        )
        self._check_fit(envs)
        return envs

    def rom_mismatch(self, rom: Rom) -> str | None:
        """Returns a warning where `rom` is not the cartridge that this agent was trained with."""
        if self.info.rom_sha1 in (None, rom.sha1):
            return None
        return (
            f"{self.path} was trained with the ROM revision {self.info.rom_revision!r}, and this "
            f"is {rom.revision!r} ({rom.path}): it may play worse. Name the other ROM with --rom"
        )

    def _settings(
        self,
        level: str,
        noop_max: int,
        repeat_action_probability: float,
        last_level: str | None = None,
        any_phase: bool = False,
        start_states: tuple[StartState, ...] = (),
    ) -> EnvConfig:
        changes: dict[str, Any] = {
            "levels": parse_levels(level),
            "noop_max": noop_max,
            "repeat_action_probability": repeat_action_probability,
            "sticky_share": 1.0,  # as asked for in every episode, whatever it was in training
            "end_thrown_back": False,
            "last_level": last_level,
            "row_share": 0.0,
            "life_share": 0.0,
            "phase_share": float(any_phase),
            "power_share": 0.0,
            "start_halt_share": 0.0,
            "autoreset": "same_step",
            "start_states": start_states,
            "start_state_share": 1.0,
        }
        if start_states:
            changes["start_noop_max"] = noop_max
        # To play needs no reward: a user's own is not imported because a file names it.
        known = self.info.env.without_own_reward()
        return env_config(**{**known.model_dump(), **changes})

    def check_plays_levels(self) -> None:
        """Raises `AgentError` where this agent is for a described game."""
        if self.info.game.name is not None:
            raise AgentError(
                f"{self.path} plays {self.info.game.name}, not Super Mario Bros.: `warpzone eval`,"
                " `watch` and `record` are what there is for agents of other games"
            )

    def _check_fit(self, env: MarioEnv | MarioVectorEnv) -> None:
        if isinstance(env, MarioVectorEnv):
            space = env.single_observation_space
        else:
            space = env.observation_space
        actions = len(env.action_meanings)
        shapes = shapes_of(space)
        if (shapes, actions) != (self.info.shapes, self.info.actions):
            env.close()
            raise AgentError(
                f"{self.path} was trained on observations {self.info.shapes} with "
                f"{self.info.actions} actions; this version of warpzone gives {shapes} with "
                f"{actions}. Use the version that trained it, or train again"
            )


def _choose(logits: torch.Tensor, policy: PolicyMode, generator: torch.Generator) -> torch.Tensor:
    """Returns actions, int64[n], for logits [n, actions]."""
    return ppo.sample(logits, generator) if policy == "sample" else logits.argmax(1)
