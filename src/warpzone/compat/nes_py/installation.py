"""Packages that say `import nes_py` get ours."""

from __future__ import annotations

import importlib
import sys

from warpzone.errors import ConfigError

_OURS = "warpzone.compat.nes_py.v9"
_MODULES = {
    "nes_py": _OURS,
    "nes_py.nes_env": f"{_OURS}.nes_env",
    "nes_py.play": f"{_OURS}.play",
    "nes_py.ram": f"{_OURS}.ram",
    "nes_py.vector_env": f"{_OURS}.vector_env",
    "nes_py.wrappers": f"{_OURS}.wrappers",
    "nes_py.wrappers.joypad_space": f"{_OURS}.wrappers",
}


def install() -> None:
    """Makes `import nes_py` mean `warpzone.compat.nes_py.v9` in this process, whether nes-py is
    installed or not, so that packages made for nes-py 9.x run on warpzone's console unchanged. Call
    it before such a package is imported; a second call does nothing.

    Raises:
        ConfigError: the real nes-py is imported already.
    """
    imported = sys.modules.get("nes_py")
    if imported is not None and imported.__name__ != _OURS:
        raise ConfigError(
            "nes_py is imported already: call warpzone.compat.nes_py.install() before anything "
            "that imports it"
        )
    for name, ours in _MODULES.items():
        sys.modules[name] = importlib.import_module(ours)
