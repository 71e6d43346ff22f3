"""`nes_py` 9.x: Gymnasium's five values, observation modes, snapshots, many consoles at once.

    from warpzone.compat.nes_py.v9 import NESEnv, VectorNESEmulator
    from warpzone.compat.nes_py.v9.wrappers import JoypadSpace

`warpzone.compat.nes_py.install()` gives packages that say `import nes_py` these. What differs from
nes-py 9.0.1 is told there. Knows no game.
"""

from warpzone.compat.nes_py.v9.nes_env import NESEnv
from warpzone.compat.nes_py.v9.vector_env import VectorNESEmulator

__all__ = ["NESEnv", "VectorNESEmulator"]
