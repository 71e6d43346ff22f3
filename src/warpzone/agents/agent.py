"""A trained agent: found in a run directory or a file, put into games it can play."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from warpzone.agents.saliency import saliency
from warpzone.errors import AgentError
from warpzone.hardware import pick_device
from warpzone.nes.cartridge import RomSource
from warpzone.nes.rom import Rom
from warpzone.ppo import losses as ppo
from warpzone.ppo.policy import Policy, shapes_of, to_tensors
from warpzone.smb.config import EnvConfig, env_config
from warpzone.smb.env import MarioEnv
from warpzone.smb.levels import parse_levels
from warpzone.smb.vector_env import Arrays, MarioVectorEnv
from warpzone.training.agent_file import AgentInfo, load_agent
from warpzone.video.heat import Heat

PolicyMode = Literal["sample", "argmax"]

AGENT_FILES = ("best.safetensors", "agent.safetensors")
"""What is looked for in a run directory, the better one first."""
RUN_FILES = ("config.json", "metrics.jsonl", "checkpoints")
TRAIN_HINT = "`warpzone train 1-1` makes one in runs/"


@dataclass(frozen=True, slots=True)
class Decision:
    """What an agent does in one game, and what it thinks of it.

    Attributes:
        action: index of the action taken.
        value: estimate of the discounted rewards to come, in the unit of the reward.
        probabilities: float32[actions] of all actions, with sum 1.
    """

    action: int
    value: float
    probabilities: NDArray[np.float32]


class Agent:
    """A policy and what it was made for.

    Attributes:
        policy: the network; gives logits and values.
        info: how it was trained.
        path: the file it came from.
    """

    def __init__(self, policy: Policy, info: AgentInfo, path: Path) -> None:
        self.policy = policy
        self.info = info
        self.path = path
        self.device = next(policy.parameters()).device

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Self:
        """Load an agent; nothing in its file is executed.

        Args:
            path: a run directory (its best agent, else its final one) or a `.safetensors` file.
            device: "auto", "cpu", "cuda", "cuda:1" …

        Raises:
            AgentError: nothing there, no run, no agent in it yet, or a damaged or foreign file.
            ConfigError: no such device.
        """
        file = find_agent(Path(path))
        policy, info = load_agent(file, pick_device(device))
        return cls(policy, info, file)

    @property
    def levels(self) -> tuple[str, ...]:
        """What it was trained on, in the order of the game."""
        return tuple(self.info.env.levels)

    @property
    def title(self) -> str:
        """For people: what it saw in training, and for how long."""
        return f"{self.info.env.observation} agent, {self.info.steps:,} steps"

    def random(self, seed: int) -> torch.Generator:
        """A source of random draws for `act`."""
        return torch.Generator(self.device).manual_seed(seed)

    @torch.inference_mode()
    def act(
        self, observation: Arrays, policy: PolicyMode, generator: torch.Generator
    ) -> NDArray[np.int64]:
        """Choose actions.

        Args:
            observation: of n games, arrays [n, ...] as the vector environment gives them.
            policy: draw from the action probabilities, or take the likeliest action.
            generator: from `random`; not used by argmax.

        Returns:
            int64[n].
        """
        logits, _ = self.policy(to_tensors(observation, self.device))
        actions: NDArray[np.int64] = _choose(logits, policy, generator).cpu().numpy()
        return actions

    @torch.inference_mode()
    def decide(
        self, observation: Arrays, policy: PolicyMode, generator: torch.Generator
    ) -> Decision:
        """`act` for one game, whose observation has no first axis, and the reasons for it."""
        if isinstance(observation, dict):
            batch: Arrays = {name: array[None] for name, array in observation.items()}
        else:
            batch = observation[None]
        logits, values = self.policy(to_tensors(batch, self.device))
        action = int(_choose(logits, policy, generator)[0])
        return Decision(action, float(values[0]), logits[0].softmax(0).cpu().numpy())

    def saliency(self, observation: Arrays, ram: NDArray[np.uint8]) -> Heat | None:
        """How much each part of the screen counts in the decision about one observation; see
        `warpzone.agents.saliency`."""
        return saliency(self.policy, observation, ram, self.info.env)

    def make_env(
        self, level: str, *, noop_max: int, repeat_action_probability: float, rom: RomSource = None
    ) -> MarioEnv:
        """One game as this agent knows it, on any level, with every frame kept for showing.

        Raises:
            LevelError: no such level.
            AgentError: the observations of this warpzone are not those it was trained on.
        """
        settings = self._settings(level, noop_max, repeat_action_probability).model_dump(
            exclude={"levels", "autoreset"}
        )
        env = MarioEnv(level, rom=rom, keep_frames=True, **settings)
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
        threads: int | None = None,
        rom: RomSource = None,
    ) -> MarioVectorEnv:
        """Many games of one level as this agent knows them, in two groups where possible.

        With `last_level` they go on from level to level up to that one.

        Raises:
            LevelError: no such level.
            AgentError: the observations of this warpzone are not those it was trained on.
        """
        envs = MarioVectorEnv(
            num_envs=num_envs,
            num_groups=min(2, num_envs),
            threads=threads,
            rom=rom,
            config=self._settings(level, noop_max, repeat_action_probability, last_level),
        )
        self._check_fit(envs)
        return envs

    def show(self, level: str | None = None, **options: Any) -> Any:
        """An episode as a film inside a notebook; see `warpzone.viewers.notebook.show`."""
        from warpzone.viewers.notebook import show  # it uses this module

        return show(self, level, **options)

    def rom_mismatch(self, rom: Rom) -> str | None:
        """A warning where `rom` is not the cartridge that this agent was trained with."""
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
    ) -> EnvConfig:
        changes: dict[str, Any] = {
            "levels": parse_levels(level),
            "noop_max": noop_max,
            "repeat_action_probability": repeat_action_probability,
            "sticky_share": 1.0,  # as asked for in every episode, whatever it was in training
            "end_thrown_back": False,
            "last_level": last_level,
            "autoreset": "same_step",
        }
        return env_config(**{**self.info.env.model_dump(), **changes})

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
    """int64[n] from logits [n, actions]."""
    return ppo.sample(logits, generator) if policy == "sample" else logits.argmax(1)


def find_agent(path: Path) -> Path:
    """The agent's file that `path` means: itself, or the best one of a run directory.

    Raises:
        AgentError: there is none; the text says what there is instead.
    """
    if path.is_file():
        return path
    if not path.exists():
        raise AgentError(f"there is no {str(path)!r}: no run, no agent, no level. {TRAIN_HINT}")
    for name in AGENT_FILES:
        if (path / name).is_file():
            return path / name
    if any((path / name).exists() for name in RUN_FILES):
        raise AgentError(
            f"the run {str(path)!r} has no agent yet. Wait until training has measured or finished "
            "one, or go on with it: the same `warpzone train` command with --resume"
        )
    runs = [run.parent for run in sorted(path.glob("*/*.safetensors")) if run.name in AGENT_FILES]
    if runs:
        names = ", ".join(dict.fromkeys(str(run) for run in runs))
        raise AgentError(f"{str(path)!r} is not a run, but these in it are: {names}")
    raise AgentError(
        f"{str(path)!r} is not a run: it holds neither {' nor '.join(AGENT_FILES)}. {TRAIN_HINT}"
    )
