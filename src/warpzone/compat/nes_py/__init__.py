"""`nes_py` 8.x: an environment for a cartridge, with the hooks by which games are made of it.

    from warpzone.compat.nes_py import NESEnv
    from warpzone.compat.nes_py.wrappers import JoypadSpace

Knows nothing of any game. Differences from nes-py 8.2.1:

- A step is one frame of the console, from one picture to the next. nes-py counts cycles, and its
  steps end in the middle of a frame of the game, so that it shows what a step brought one step
  later, and takes an action for that step's frame or for the next, as it comes.
- `screen`, and with it what `reset` and `step` return, is a picture of its own that later steps do
  not change. nes-py hands out its picture buffer.
- Spaces are Gymnasium's, and so is the class; `gym` is not needed.
"""

from warpzone.compat.nes_py.nes_env import NESEnv

__all__ = ["NESEnv"]
