"""Stable-Baselines3: a `VecEnv` of native games, and a network for tiles.

    from stable_baselines3 import PPO
    from warpzone.compat.sb3 import TilesExtractor, make_vec_env

    envs = make_vec_env("1-1", n_envs=64, noop_max=30)
    of_tiles = {"features_extractor_class": TilesExtractor}
    model = PPO("MultiInputPolicy", envs, policy_kwargs=of_tiles)
    model.learn(1_000_000)

Knows no algorithm: which one learns is the caller's. Needs the packages stable-baselines3, and
sb3-contrib for its algorithms; without the first, importing it raises `MissingPackageError`.
"""

from importlib.util import find_spec

from warpzone.errors import MissingPackageError

if find_spec("stable_baselines3") is None:
    raise MissingPackageError(
        "warpzone.compat.sb3 needs Stable-Baselines3, which is not installed: "
        "pip install stable-baselines3 (and sb3-contrib, for the algorithms that are there)",
        name="stable_baselines3",
    )

from warpzone.compat.sb3.extractor import TilesExtractor
from warpzone.compat.sb3.vec_env import GamesVecEnv, make_vec_env
from warpzone.nes.action_masks import ActionMasks

__all__ = ["ActionMasks", "GamesVecEnv", "TilesExtractor", "make_vec_env"]
