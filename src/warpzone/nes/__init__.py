"""One NES: console, cartridge, ROM files, the recompiler that turns a program into native code, and
environments of any game that is described.

Knows no game by name, no level and no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from warpzone.nes.game import Game
    from warpzone.nes.game_env import GameEnv
    from warpzone.nes.game_vector_env import GameVectorEnv
    from warpzone.nes.variables import Memory, Variable

__all__ = ["Game", "GameEnv", "GameVectorEnv", "Memory", "Variable", "make", "make_vec"]

_LATER = {
    "Game": ("game", "Game"),
    "Memory": ("variables", "Memory"),
    "Variable": ("variables", "Variable"),
    "GameEnv": ("game_env", "GameEnv"),
    "GameVectorEnv": ("game_vector_env", "GameVectorEnv"),
    "make": ("game_env", "GameEnv"),
    "make_vec": ("game_vector_env", "GameVectorEnv"),
}
"""Loaded when first used: whoever wants a console does not wait for environments."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        module, attribute = _LATER[name]
        globals()[name] = getattr(import_module(f"{__name__}.{module}"), attribute)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
