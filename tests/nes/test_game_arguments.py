"""What environments of described games refuse, and what they say; nothing of it is a bare error."""

from __future__ import annotations

import copy
import dataclasses
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from tests.support.memory import freed_at_once

from warpzone.errors import ConfigError, EngineError, RomError
from warpzone.games.catch import GAME, cartridge
from warpzone.nes import Game, GameVectorEnv, Variable, make, make_vec
from warpzone.nes.cartridge import open_rom
from warpzone.nes.game_start import Startup


@pytest.fixture(scope="module")
def catch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catch") / "catch.nes"
    cartridge(path)
    return path


def with_(**changes: Any) -> Game:
    return dataclasses.replace(GAME, settings={}, **changes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"variables": {"lives": 0x17}}, r"variable 'lives' is 23: it must be a Variable\("),
        ({"variables": []}, r"variables is \[\]: it must be a dict"),
        ({"memory": {"field": b""}}, r"memory 'field' is b'': it must be a Memory\("),
        ({"starts": [b""]}, r"starts is \[b''\]: it must be a dict"),
        ({"starts": {"a": 5}}, "start 'a' is 5: it must be a snapshot"),
        ({"actions": [0, 1]}, r"actions is \[0, 1\]: it must be a list of lists of buttons"),
        ({"actions": ["left"]}, r"actions is \['left'\]: it must be a list of lists"),
        ({"reward": 1.0}, r"reward is 1\.0: it must be a function"),
        ({"progress": 1}, "progress is 1: it must be a function, or None"),
        ({"contents": "0" * 40}, "contents is '0+': it must be a list of SHA-1s"),
        ({"cartridge": 5}, "cartridge is 5: it must be a file"),
        ({"status_bar": 1.5}, r"status_bar is 1\.5: it must be a whole number"),
        ({"name": "a/b c"}, "name of a game is 'a/b c': it must be one that a file could have"),
        ({"name": ".."}, "it must be one that a file could have"),
        ({"name": 5}, "name of a game is 5"),
    ],
)
def test_descriptions_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"address": "0x17"}, "address is '0x17': it must be a whole number, or several"),
        ({"address": 1.5}, r"address is 1\.5: it must be a whole number"),
        ({"address": (1, "2")}, r"address is \(1, '2'\): it must be a whole number, or several"),
        ({"address": 1, "width": "2"}, "width is '2': it must be a whole number"),
        ({"address": 1, "bit": 1.0}, r"bit is 1\.0: it must be a whole number, or None"),
        ({"address": 1, "signed": 1}, "signed is 1: it must be True or False"),
        ({"address": 1, "bit": 0, "signed": True}, "a single bit has no sign"),
    ],
)
def test_variables_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Variable(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_envs": "8"}, "num_envs is '8': it must be a whole number"),
        ({"num_envs": 2.5}, r"num_envs is 2\.5: it must be a whole number"),
        ({"num_groups": "2"}, "num_groups is '2': it must be a whole number"),
        ({"threads": "2"}, "threads is '2': it must be a whole number, or None"),
        ({"config": {"frame_skip": 2}}, "config is {'frame_skip': 2}: it must be a GameConfig"),
        ({"starts": 5}, "starts: it must be a name, several, or a mapping"),
        ({"starts": [["a"]]}, "starts: it must be a name, several, or a mapping"),
        ({"game": 8, "rom": "catch"}, r"The ROM comes first: make_vec\(rom, 'catch', 8\)"),
        ({"game": None}, "game is None: it must be a Game, or the name of one"),
    ],
)
def test_environments_that_cannot_be(catch: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GameVectorEnv(**{"rom": catch, "game": GAME, **given})
    with pytest.raises(ConfigError, match=r"make\(rom, 'catch'\), with rom=None for the game's"):
        make("catch")
    with pytest.raises(RomError, match="rom is 5: it must be a file"):
        make_vec(5, GAME, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"reward": lambda now, before: ["x"]}, r"catch: reward returned \['x'\]"),
        ({"reward": lambda now, before: None}, "catch: reward returned"),
        ({"info": lambda now, before: None}, "info returned None; it must be a dict of arrays"),
        ({"info": lambda now, before: {"steps": now["lives"]}}, "info must not name .* 'steps'"),
        ({"info": lambda now, before: {"a": 5}}, r"info 'a' returned shape \(\)"),
        ({"observe": lambda now, before: "x"}, "observe returned 'x'"),
    ],
)
def test_functions_that_return_something_else(
    catch: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_vec(catch, with_(**given), 1, observation="variables")


def test_calls_that_cannot_be(catch: Path) -> None:
    envs = make_vec(catch, GAME, 2, seed=0)
    envs.reset()
    saved = envs.save_state()
    wrong: Any
    for wrong in ([1], 5, "start"):
        with pytest.raises(ConfigError, match=r"options is .*: it must be a dict, or None"):
            envs.reset(options=wrong)
    for wrong in (b"", [b"", None], bytearray()):
        with pytest.raises(ConfigError, match="a state of 0 bytes is no snapshot"):
            envs.reset(options={"state": wrong})
    wrong = "abc"
    with pytest.raises(ConfigError, match="state is 'abc': it must be bytes of save_state"):
        envs.load_state(wrong)
    with pytest.raises(ConfigError, match="number of a game is 'abc': it must be a whole number"):
        envs.picture(wrong)
    assert envs.save_state() == saved


def test_a_cartridge_is_named_or_the_games_own(catch: Path) -> None:
    own = make_vec(None, "catch", 1)
    assert own.rom.data == catch.read_bytes()
    nobodys = with_(cartridge=None)
    for made in (make_vec, make):
        with pytest.raises(RomError, match=r"catch names no cartridge: give its ROM, e\.g\. rom="):
            made(None, nobodys)
    assert open_rom(make_vec(str(catch), nobodys, 1).rom).path == catch


def test_a_start_is_played_to_once_and_may_be_a_file(catch: Path, tmp_path: Path) -> None:
    played = []

    def start(play: Startup) -> None:
        played.append(play)
        play.wait(60)

    envs = make_vec(catch, with_(starts={"a": start}), 1)
    copy.deepcopy(envs).reset()
    assert len(played) == 1
    envs.reset()
    file = tmp_path / "moment.bin"
    file.write_bytes(envs.console_state(0))
    from_file = make_vec(catch, with_(starts={"a": str(file)}), 1)
    from_file.reset()
    assert from_file.console_state(0) == file.read_bytes()


def test_games_that_failed_are_free_as_soon_as_nobody_holds_them(catch: Path) -> None:
    """The error has a traceback with the frame of the step, which has the games."""

    def failed() -> weakref.ref[GameVectorEnv]:
        envs = make_vec(catch, GAME, 2, autoreset="disabled", max_steps=1, num_groups=2)
        envs.reset()
        envs.step(np.zeros(2, np.int64))
        with pytest.raises(EngineError, match="no running episode"):
            envs.step(np.zeros(2, np.int64))
        return weakref.ref(envs)

    assert freed_at_once(failed)


def test_games_of_many_are_asked_one_by_one(catch: Path) -> None:
    envs = make_vec(catch, GAME, 2, seed=0, render_mode="rgb_array")
    envs.reset()
    assert envs.call("get_action_meanings") == (["nothing", "left", "right"],) * 2
    assert envs.get_attr("render_mode") == ("rgb_array",) * 2
    assert envs.call("get_keys_to_action") == (make(None, GAME).get_keys_to_action(),) * 2
    assert [np.shares_memory(ram, envs.ram(i)) for i, ram in enumerate(envs.call("ram"))] == [
        True,
        True,
    ]
    envs.set_attr("note", ["a", "b"])
    assert envs.get_attr("note") == ("a", "b")
    with pytest.raises(ConfigError, match="'rom' of a game cannot be set"):
        envs.set_attr("rom", None)
    assert copy.deepcopy(envs).call("save_state") == envs.call("save_state")


def test_autoreset_by_both_its_names_is_refused(catch: Path) -> None:
    for mode in ("next_step", "disabled", AutoresetMode.NEXT_STEP):
        assert make_vec(catch, GAME, 1, autoreset_mode=mode).config.autoreset in (mode, "next_step")
        for given in (
            {"autoreset": "disabled", "autoreset_mode": mode},
            {"autoreset_mode": mode, "autoreset": "disabled"},
        ):
            with pytest.raises(ConfigError, match="autoreset and autoreset_mode are the same"):
                make_vec(catch, GAME, 2, **given)
