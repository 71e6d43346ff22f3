"""Catch: balls fall, a paddle catches them. A game of this project, for examples and tests.

Three misses end it. Nothing of it is anybody else's, so it needs no cartridge from elsewhere:
`warpzone.games.catch.cartridge` makes the file. Knows nothing of other games.
"""

from warpzone.games.catch.cartridge import cartridge
from warpzone.games.catch.description import GAME

__all__ = ["GAME", "cartridge"]
