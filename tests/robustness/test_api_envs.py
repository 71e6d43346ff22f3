"""The API fuzzer on the environments: of Super Mario Bros., and of a described game, Catch."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.api_envs import Environments, Kind, catch
from tests.support.api_fuzz import budget

import warpzone
from warpzone.games.catch import GAME
from warpzone.nes import GameEnv, GameVectorEnv


@pytest.fixture(scope="module", autouse=True)
def begun() -> None:
    """What is done once in a process is not measured with the first case."""
    warpzone.make("1-1").close()


def mario(**settings: Any) -> warpzone.MarioEnv:
    return warpzone.make(["1-1", "1-2"], **settings)


def marios(games: int, **settings: Any) -> warpzone.MarioVectorEnv:
    return warpzone.make_vec(["1-1", "1-2"], games, **settings)


def described(banked: bool) -> Kind:
    return Kind(
        one=lambda **settings: GameEnv(catch(banked), GAME, engine="interpreter", **settings),
        many=lambda games, **settings: GameVectorEnv(
            catch(banked), GAME, games, engine="interpreter", **settings
        ),
        place="start",
        places=list(GAME.starts),
        observations=[
            {"observation": "pixels", "size": (20, 24), "frame_stack": 2},
            {"observation": "variables"},
            {"observation": "ram"},
        ],
    )


class MarioEnvironments(Environments):
    kind = Kind(
        one=mario,
        many=marios,
        place="level",
        places=["1-1", "1-2"],
        observations=[
            {"observation": "tiles"},
            {"observation": "pixels", "size": (20, 24), "frame_stack": 2},
            {"observation": "ram"},
        ],
    )


class CatchEnvironments(Environments):
    kind = described(banked=False)


class BankedEnvironments(Environments):
    kind = described(banked=True)


MarioEnvironments.TestCase.settings = budget(14, 12)
CatchEnvironments.TestCase.settings = budget(8, 12)
BankedEnvironments.TestCase.settings = budget(4, 12)
TestMarioEnvironments = MarioEnvironments.TestCase
TestCatchEnvironments = CatchEnvironments.TestCase
TestBankedEnvironments = BankedEnvironments.TestCase
