"""Games that stable-retro describes: its variables, rewards and ends, read out of its files.

    from warpzone.compat import retro

    retro.list_games()  # where stable-retro is installed
    integration = retro.load_integration("SuperMarioBros-Nes")  # or the path of such a folder
    game = retro.game_of(integration, start)  # for warpzone.nes.make_vec

It reads `data.json`, `scenario.json` and `metadata.json` of games for this console. What it does
not read: `.state` files, which only the emulator that wrote them can load, and Lua scripts; whoever
asks for what is in them is told so. Knows no game, and needs nothing of stable-retro but its files.
"""

from warpzone.compat.retro.game import game_of
from warpzone.compat.retro.integration import Integration, list_games, load_integration

__all__ = ["Integration", "game_of", "list_games", "load_integration"]
