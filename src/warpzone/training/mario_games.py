"""Super Mario Bros. as the settings of a training have it."""

from __future__ import annotations

from warpzone.nes.cartridge import RomSource
from warpzone.ppo.rollout import VectorEnv
from warpzone.smb.config import EnvConfig
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training.evaluation_schedule import MakeEnv


def mario_games(rom: RomSource, threads: int) -> MakeEnv:
    """Returns what makes games, to learn in or to measure in."""

    def make(config: EnvConfig, games: int, groups: int, seed: int) -> VectorEnv:
        return MarioVectorEnv(
            num_envs=games,
            num_groups=groups,
            threads=threads,
            seed=seed,
            rom=rom,
            config=config,
            reward=config.own_reward,  # which the settings of a run may name: they are the user's
        )

    return make
