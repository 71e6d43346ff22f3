"""warpzone: train agents that beat Super Mario Bros., and watch them do it.

This is what a user imports; nothing inside the package imports it. `Agent`, `train`, `evaluate`,
`evaluate_game` and `RecordVideo` are loaded when they are first used: who only wants games does not
wait for PyTorch.
"""

from __future__ import annotations

from warpzone import startup as _startup

# isort: split
from typing import TYPE_CHECKING, Any, Unpack

import gymnasium as _gymnasium

import warpzone.games as _games  # noqa: F401 - lets games be asked for by name
from warpzone.errors import WarpzoneError
from warpzone.nes.action_masks import ActionMasks
from warpzone.nes.cartridge import RomSource, set_engine
from warpzone.nes.console import Console
from warpzone.smb.config import EnvConfig, EnvSettings, VectorEnvSettings
from warpzone.smb.env import MarioEnv
from warpzone.smb.levels import LevelSpec
from warpzone.smb.reward import RewardFunction, reads_ram
from warpzone.smb.rom import find_rom
from warpzone.smb.starts import start_level
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.version import VERSION

if TYPE_CHECKING:
    from warpzone.agents.agent import Agent
    from warpzone.agents.evaluate import evaluate
    from warpzone.agents.evaluate_game import evaluate_game
    from warpzone.training.trainer import train
    from warpzone.video.record_video import RecordVideo

__all__ = [
    "Agent",
    "Console",
    "EnvConfig",
    "MarioEnv",
    "MarioVectorEnv",
    "RecordVideo",
    "WarpzoneError",
    "evaluate",
    "evaluate_game",
    "find_rom",
    "make",
    "make_vec",
    "reads_ram",
    "set_engine",
    "start_level",
    "train",
]
__version__ = VERSION

_LATER = {
    "Agent": "warpzone.agents.agent",
    "RecordVideo": "warpzone.video.record_video",
    "evaluate": "warpzone.agents.evaluate",
    "evaluate_game": "warpzone.agents.evaluate_game",
    "train": "warpzone.training.trainer",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        value = getattr(import_module(_LATER[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def make(
    level: LevelSpec | None = None,
    *,
    levels: LevelSpec | None = None,
    config: EnvConfig | None = None,
    reward: str | RewardFunction | None = None,
    rom: RomSource = None,
    engine: str | None = None,
    render_mode: str | None = None,
    keep_frames: bool = False,
    action_masks: str | ActionMasks | None = None,
    **settings: Unpack[EnvSettings],
) -> MarioEnv:
    """Makes one game as a `gymnasium.Env`.

    Arguments, errors and what it returns at each step are those of `MarioEnv`; `settings` are
    fields of `EnvConfig`, or `config` holds all of them.

    >>> env = warpzone.make("1-1", observation="pixels", size=64)
    """
    return MarioEnv(
        level,
        levels=levels,
        config=config,
        reward=reward,
        rom=rom,
        engine=engine,
        render_mode=render_mode,
        keep_frames=keep_frames,
        action_masks=action_masks,
        **settings,
    )


def make_vec(
    levels: LevelSpec | None = None,
    num_envs: int = 1,
    *,
    level: LevelSpec | None = None,
    config: EnvConfig | None = None,
    reward: str | RewardFunction | None = None,
    threads: int | None = None,
    seed: int | None = None,
    num_groups: int = 1,
    rom: RomSource = None,
    engine: str | None = None,
    render_mode: str | None = None,
    keep_frames: bool = False,
    action_masks: str | ActionMasks | None = None,
    **settings: Unpack[VectorEnvSettings],
) -> MarioVectorEnv:
    """Makes many games as a `gymnasium.vector.VectorEnv`.

    Arguments, errors and what it returns at each step are those of `MarioVectorEnv`; `settings` are
    fields of `EnvConfig`, or `config` holds all of them.

    >>> envs = warpzone.make_vec(["1-1", "1-2"], 64, observation="tiles", noop_max=30)
    """
    return MarioVectorEnv(
        levels,
        num_envs,
        level=level,
        config=config,
        reward=reward,
        threads=threads,
        seed=seed,
        num_groups=num_groups,
        rom=rom,
        engine=engine,
        render_mode=render_mode,
        keep_frames=keep_frames,
        action_masks=action_masks,
        **settings,
    )


_gymnasium.register(
    id="warpzone/Mario-v0",
    entry_point="warpzone.smb.env:MarioEnv",
    vector_entry_point="warpzone.smb.vector_env:make_registered",
    order_enforce=True,
)
_gymnasium.register(
    id="warpzone/Game-v0",
    entry_point="warpzone.nes.game_env:GameEnv",
    vector_entry_point="warpzone.nes.game_vector_env:make_registered",
    order_enforce=True,
)
_startup.end()
