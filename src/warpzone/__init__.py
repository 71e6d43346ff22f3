"""warpzone: train agents that beat Super Mario Bros., and watch them do it.

This is what a user imports; nothing inside the package imports it. Whatever is named here is loaded
when it is first used: who only wants games does not wait for PyTorch, and `warpzone --help` for
neither. Gymnasium knows the environments from the import on.
"""

from __future__ import annotations

from warpzone import startup as _startup

# isort: split
from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any, Unpack

from warpzone.version import VERSION

if TYPE_CHECKING:
    from warpzone.agents.agent import Agent
    from warpzone.agents.evaluate import evaluate
    from warpzone.agents.evaluate_game import evaluate_game
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
    "Agent": "agents.agent",
    "Console": "nes.console",
    "EnvConfig": "smb.config",
    "MarioEnv": "smb.env",
    "MarioVectorEnv": "smb.vector_env",
    "RecordVideo": "video.record_video",
    "WarpzoneError": "errors",
    "evaluate": "agents.evaluate",
    "evaluate_game": "agents.evaluate_game",
    "find_rom": "smb.rom",
    "reads_ram": "smb.reward",
    "set_engine": "nes.cartridge",
    "start_level": "smb.starts",
    "train": "training.trainer",
}
_ROOMS = ("errors", "games", "nes", "smb")
"""Modules that a program may name without having imported them."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        value = getattr(_import_module(f"warpzone.{_LATER[name]}"), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return _import_module(f"warpzone.{name}")
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
    from warpzone.smb.env import MarioEnv

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
    from warpzone.smb.vector_env import MarioVectorEnv

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


if not _startup.is_command():
    _import_module("warpzone.registration").register()
_startup.end()
