"""`gym_super_mario_bros` 7.4.0: for code that was written with it from 2018 to 2025.

    from warpzone.compat import gym_super_mario_bros
    from warpzone.compat.gym_super_mario_bros.actions import SIMPLE_MOVEMENT
    from warpzone.compat.nes_py.wrappers import JoypadSpace

    env = JoypadSpace(gym_super_mario_bros.make("SuperMarioBros-v0"), SIMPLE_MOVEMENT)

`make` knows the ids of that package, `SuperMarioBros[-<world>-<stage>]-v0` to `v3`,
`SuperMarioBrosRandomStages-v0` to `v3` and `SuperMarioBros2-v0` and `v1`. As with gym before 0.26
`reset` gives an observation and `step` four values; with `apply_api_compatibility=True`, which gym
0.26 has, it is two and five, as in Gymnasium.

Knows nothing of `MarioEnv`, whose episodes follow other rules. Differences from
gym-super-mario-bros 7.4.0:

- What is said of steps, pictures and spaces in `warpzone.compat.nes_py`.
- `info["life"]` is a 64-bit integer and no byte, whose arithmetic overflows since NumPy 2.
- `SuperMarioBros2-<world>-<stage>-v0` and `v1` are there, too: worlds 1 to 4, which are all that
  the cartridge holds.
- A wrong argument raises `warpzone.errors.ConfigError`, a `ValueError`, where theirs may raise
  `TypeError`.
"""

from warpzone.compat.gym_super_mario_bros.random_stages import SuperMarioBrosRandomStagesEnv
from warpzone.compat.gym_super_mario_bros.registration import make
from warpzone.compat.gym_super_mario_bros.smb_env import SuperMarioBrosEnv

__all__ = ["SuperMarioBrosEnv", "SuperMarioBrosRandomStagesEnv", "make"]
