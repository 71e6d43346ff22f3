"""`nes_py.wrappers`: the wrapper is the same for both kinds of environments."""

from warpzone.compat.nes_py.wrappers import JoypadSpace

__all__ = ["JoypadSpace"]
