"""What is in its memory, and what that is worth."""

from __future__ import annotations

from typing import Any

from warpzone.games.catch.cartridge import cartridge
from warpzone.nes.game import Game
from warpzone.nes.game_start import Startup
from warpzone.nes.variables import Values, Variable


def first_ball(play: Startup) -> None:
    """Goes to the first frame of play."""
    play.until(lambda now: now["state"] == 1, "start")
    play.wait(2)  # until the picture shows it


def caught_and_missed(now: Values, before: Values) -> Any:
    """Returns 1 for each ball that is caught, and -1 for each that is missed."""
    return (now["score"] - before["score"]) + (now["lives"] - before["lives"])


GAME = Game(
    name="catch",
    variables={
        "score": Variable(address=0x14, width=3, coding="digits"),
        "lives": Variable(address=0x17),
        "state": Variable(address=0x18),
        "paddle": Variable(address=0x10),
        "ball_x": Variable(address=0x11),
        "ball_y": Variable(address=0x12),
    },
    actions=[[], ["left"], ["right"]],
    starts={"game": first_ball},
    reward=caught_and_missed,
    done=lambda now, before: now["state"] == 2,
    success=lambda now, before: now["score"] >= 20,
    progress=lambda now, before: now["score"],
    cartridge=cartridge,
    status_bar=24,
    settings={"noop_max": 30, "max_steps": 3000},
)
