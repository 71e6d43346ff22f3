"""warpzone: train agents that beat Super Mario Bros., and watch them do it."""

from __future__ import annotations

from warpzone import startup as _startup

# isort: split
from typing import Any

import gymnasium as _gymnasium

from warpzone.errors import WarpzoneError
from warpzone.nes.cartridge import RomSource, set_engine
from warpzone.nes.console import Console
from warpzone.smb.env import MarioEnv
from warpzone.smb.levels import LevelSpec
from warpzone.smb.starts import start_level
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.version import VERSION

__all__ = [
    "Console",
    "MarioEnv",
    "MarioVectorEnv",
    "WarpzoneError",
    "make",
    "make_vec",
    "set_engine",
    "start_level",
]
__version__ = VERSION


def make(level: LevelSpec = "1-1", *, rom: RomSource = None, **settings: Any) -> MarioEnv:
    """One game as a `gymnasium.Env`; settings are those of `MarioEnv` and `EnvConfig`.

    >>> env = warpzone.make("1-1", observation="pixels")
    """
    return MarioEnv(level, rom=rom, **settings)


def make_vec(
    levels: LevelSpec = "1-1",
    num_envs: int = 1,
    *,
    threads: int | None = None,
    rom: RomSource = None,
    **settings: Any,
) -> MarioVectorEnv:
    """Many games as a `gymnasium.vector.VectorEnv`; see `MarioVectorEnv` and `EnvConfig`.

    >>> envs = warpzone.make_vec(["1-1", "1-2"], 64, observation="tiles", noop_max=30)
    """
    return MarioVectorEnv(levels, num_envs, threads=threads, rom=rom, **settings)


_gymnasium.register(
    id="warpzone/Mario-v0",
    entry_point="warpzone.smb.env:MarioEnv",
    vector_entry_point="warpzone.smb.vector_env:make_registered",
    order_enforce=True,
)
_startup.end()
