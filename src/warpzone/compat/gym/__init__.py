"""`gym` of before 0.26, as far as programs for gym-super-mario-bros use it: `reset` gives an
observation, `step` four values.

    from warpzone.compat import gym
    from warpzone.compat.gym import Wrapper
    from warpzone.compat.gym.wrappers import FrameStack, GrayScaleObservation

`make` knows the ids of `warpzone.compat.gym_super_mario_bros` and no others. Environments and
wrappers are classes of Gymnasium, and so are spaces. Knows no game. What is not here is not read
by any of the programs that `scripts/adapt_imports.py` was tried on, or is Gymnasium's: `import
gymnasium as gym` serves a program with wrappers of its own as well.
"""

from gymnasium import Env, spaces

from warpzone.compat.gym import wrappers
from warpzone.compat.gym.core import ActionWrapper, ObservationWrapper, RewardWrapper, Wrapper
from warpzone.compat.gym_super_mario_bros import make

__all__ = [
    "ActionWrapper",
    "Env",
    "ObservationWrapper",
    "RewardWrapper",
    "Wrapper",
    "make",
    "spaces",
    "wrappers",
]
