"""`warpzone.compat.retro` reads what stable-retro's folders say."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from warpzone import Console
from warpzone.compat import retro
from warpzone.compat.retro.types import RamNumber
from warpzone.errors import ConfigError, RomError
from warpzone.games import catch
from warpzone.nes import make_vec
from warpzone.nes.cartridge import open_rom

RAM = bytes([0x12, 0x34, 0x81, 0x99, 3, 9, 7, 0xFF])
"""From address 16 on."""


def ram() -> np.ndarray[Any, np.dtype[np.uint8]]:
    memory = np.zeros((1, 0x800), np.uint8)
    memory[0, 16 : 16 + len(RAM)] = list(RAM)
    return memory


@pytest.mark.parametrize(
    ("address", "text", "value"),
    [
        (18, "|u1", 0x81),
        (18, "|i1", 0x81 - 256),
        (18, "|d1", 81),
        (18, "|n1", 1),
        (16, ">u2", 0x1234),
        (16, "<u2", 0x3412),
        (16, ">u3", 0x123481),
        (22, "<i2", 0xFF07 - 0x10000),
        (22, ">i2", 0x07FF),
        (16, ">d2", 1234),
        (16, "<d2", 3412),
        (16, ">d4", 12348199),
        (20, ">n3", 397),
        (20, "<n3", 793),
        (16, "=u2", 0x3412),
        (23, "|n1", 5),  # 15 is no digit: stable-retro takes what is over ten
        (16, ">i8", 0x12348199030907FF),
        (16, "<i8", int.from_bytes(RAM, "little", signed=True)),
    ],
)
def test_numbers_of_all_types(address: int, text: str, value: int) -> None:
    found = RamNumber.parse(address, text).read(ram())
    assert (found.dtype.name, found.tolist()) == ("int64", [value])


def test_numbers_in_the_cartridge_and_masks() -> None:
    assert RamNumber.parse(16, ">u2", 0x0F0F).read(ram()).tolist() == [0x0204]
    number = RamNumber.parse(0x6001, "|u1")
    assert number.read(ram(), np.array([[7, 8]], np.uint8)).tolist() == [8]
    with pytest.raises(ConfigError, match="no RAM at address 24577"):
        number.read(ram())


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"address": 0, "type": "?u4"}, "the type is '\\?u4'"),
        ({"address": 0, "type": ">q2"}, "the type is '>q2'"),
        ({"address": 0, "type": "=i0"}, "the type is '=i0'"),
        ({"address": 0, "type": "><u4"}, "the type is '><u4'"),
        ({"address": 0, "type": 3}, "the type is 3"),
        ({"address": 0x7FF, "type": "<u2"}, "no RAM at address 2047 with 2 bytes"),
        ({"address": -1, "type": "|u1"}, "no RAM at address -1"),
        ({"address": "x", "type": "|u1"}, "address must be an integer"),
        ({"address": 0, "type": "|u1", "mask": "x"}, "mask must be an integer"),
        ({"address": 0}, "info.x has no type"),
        ({"type": "|u1"}, "info.x has no address"),
        ({"address": 0, "type": "|u1", "adress": 1}, "unknown key 'adress'"),
        (7, "info.x must be an object"),
    ],
)
def test_wrong_variables_are_told(tmp_path: Path, entry: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        retro.load_integration(written(tmp_path, {"info": {"x": entry}}))


VARIABLES = {
    "info": {
        "lives": {"address": 0, "type": "|i1"},
        "score": {"address": 1, "type": ">u2"},
        "state": {"address": 3, "type": "|u1"},
    }
}


def written(folder: Path, data: Any = VARIABLES, scenario: Any = None, **more: Any) -> Path:
    folder = folder / "Some-Nes"
    folder.mkdir(exist_ok=True)
    files = {"data": data, "scenario": scenario, **more}
    for name, content in files.items():
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def values(lives: int, score: int, state: int) -> dict[str, Any]:
    return {
        "lives": np.array([lives]),
        "score": np.array([score]),
        "state": np.array([state]),
    }


def test_rewards_are_changes_times_what_they_are_worth(tmp_path: Path) -> None:
    scenario = {
        "reward": {
            "variables": {
                "score": {"reward": 0.5},
                "lives": {"reward": 7.0, "penalty": 100.0},
                "state": {"measurement": "absolute", "op": "equal", "reference": 3, "reward": 2},
            },
            "time": {"reward": 0.25},
        }
    }
    found = retro.load_integration(written(tmp_path, scenario=scenario))
    before = values(3, 10, 0)
    for now, reward in (
        (values(3, 10, 0), 0.25),
        (values(3, 14, 0), 2.25),
        (values(3, 6, 0), 0.25),  # no penalty is given
        (values(2, 10, 0), -99.75),
        (values(4, 10, 3), 9.25),
    ):
        rewards = found.rewards(now, before)
        assert (rewards.dtype.name, rewards.tolist()) == ("float32", [reward])
    assert found.dones(before, before).tolist() == [False], "nothing ends it"


def test_ends_are_conditions_within_conditions(tmp_path: Path) -> None:
    scenario = {
        "done": {
            "nodes": {
                "gone": {
                    "condition": "all",
                    "variables": {
                        "lives": {"op": "zero"},
                        "state": {"op": "equal", "reference": 15},
                    },
                }
            },
            "variables": {"score": {"measurement": "delta", "op": "negative"}},
        }
    }
    found = retro.load_integration(written(tmp_path, scenario=scenario))
    before = values(3, 10, 0)
    for now, done in (
        (values(0, 10, 0), False),
        (values(0, 10, 15), True),
        (values(3, 10, 15), False),
        (values(3, 9, 0), True),
    ):
        assert found.dones(now, before).tolist() == [done]


@pytest.mark.parametrize(
    ("op", "fulfilled"),
    [
        ("nonzero", [-2, -1, 1, 2]),
        ("zero", [0]),
        ("positive", [1, 2]),
        ("negative", [-2, -1]),
        ("sign", [1, 2]),
        ("equal", [1]),
        ("negative-equal", [-1]),
        ("not-equal", [-2, -1, 0, 2]),
        ("less-than", [-2, -1, 0]),
        ("greater-than", [2]),
        ("less-or-equal", [-2, -1, 0, 1]),
        ("greater-or-equal", [1, 2]),
        ("", [1, 2]),
    ],
)
def test_operations(tmp_path: Path, op: str, fulfilled: list[int]) -> None:
    scenario = {"done": {"variables": {"lives": {"op": op, "reference": 1}}}}
    found = retro.load_integration(written(tmp_path, scenario=scenario))
    tried = np.arange(-2, 3)
    now = dict.fromkeys(VARIABLES["info"], tried)
    assert tried[found.dones(now, now)].tolist() == fulfilled


def test_what_else_is_in_a_folder(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        scenario={"actions": [[[], ["LEFT"], ["RIGHT"]], [[], ["A"]]], "crop": [0, 0, 0, 0]},
        metadata={"default_state": "Level1"},
    )
    (folder / "Level1.state").write_bytes(b"\x1f\x8b")
    (folder / "rom.sha").write_text("FACEE9C577A5262DBE33AC4930BB0B58C8C037F7\n")
    found = retro.load_integration(folder)
    assert (found.name, found.default_state, found.states) == ("Some", "Level1", ("Level1",))
    assert found.contents == ("facee9c577a5262dbe33ac4930bb0b58c8c037f7",)
    assert found.actions == (((), ("LEFT",), ("RIGHT",)), ((), ("A",)))
    assert found.rom is None
    (folder / "rom.nes").write_bytes(b"")
    assert retro.load_integration(folder).rom == folder / "rom.nes"


def test_scripts_are_not_run_and_that_is_said(tmp_path: Path) -> None:
    scenario = {
        "reward": {"script": "lua:correct_score"},
        "done": {"script": "lua:is_done"},
        "scripts": ["script.lua"],
    }
    found = retro.load_integration(written(tmp_path, scenario=scenario))
    assert (found.reward_script, found.done_script) == ("correct_score", "is_done")
    now = values(1, 2, 3)
    with pytest.raises(ConfigError, match=r"a Lua script says what reward is \(correct_score"):
        found.rewards(now, now)
    with pytest.raises(ConfigError, match="Give a function of your own: done="):
        found.dones(now, now)


@pytest.mark.parametrize(
    ("scenario", "why"),
    [
        ({"done": {"variables": {"coins": {}}}}, "done.variables.coins: data.json has no such"),
        ({"done": {"variables": {"lives": {"op": "is"}}}}, "op is 'is': there are nonzero"),
        ({"done": {"condition": "some"}}, "done.condition is 'some': any or all"),
        ({"done": {"when": 1}}, "done has an unknown key 'when'"),
        ({"reward": {"variables": {"lives": {"reward": "1"}}}}, "must be a number, not '1'"),
        ({"reward": {"variables": {"lives": {"penalty": -1e39}}}}, r"from -1e\+15 to 1e\+15, not"),
        ({"reward": {"time": {"reward": float("nan")}}}, r"from -1e\+15 to 1e\+15, not nan"),
        ({"reward": {"variables": {"lives": {"reference": 1.5}}}}, "must be an integer, not 1.5"),
        ({"reward": {"variables": {"lives": {"measurement": "x"}}}}, "delta or absolute"),
        ({"reward": {"time": {"penalty": 1}}}, "reward.time.penalty has no effect"),
        ({"rewards": [{}, {}]}, "several players"),
        ({"reward": []}, "reward must be an object"),
        ({"actions": 3}, "actions must be groups"),
        ([], "the file must be an object"),
    ],
)
def test_wrong_scenarios_are_told(tmp_path: Path, scenario: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        retro.load_integration(written(tmp_path, scenario=scenario))


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    folder = written(tmp_path)
    (folder / "scenario.json").write_text("{")
    with pytest.raises(ConfigError, match=r"scenario\.json is not JSON"):
        retro.load_integration(folder)
    with pytest.raises(ConfigError, match=r"has no data\.json"):
        retro.load_integration(tmp_path)
    (folder / "scenario.json").unlink()
    (folder / "data.json").write_text("{}")
    with pytest.raises(ConfigError, match="no section 'info'"):
        retro.load_integration(folder)


def test_installed_games_are_known_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a package of that name, as stable-retro 0.9 and 1.0 lay their folders."""
    data = tmp_path / "stable_retro" / "data"
    for kind, names in (("stable", ["A-Nes", "B-Nes-v0", "A-Snes"]), ("experimental", ["C-Nes"])):
        for name in names:
            (data / kind / name).mkdir(parents=True)
            (data / kind / name / "data.json").write_text(json.dumps(VARIABLES))
    (tmp_path / "stable_retro" / "__init__.py").write_text("raise ImportError")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert retro.list_games() == ["A-Nes", "B-Nes-v0", "C-Nes"]
    assert retro.load_integration("A-Nes").folder == data / "stable" / "A-Nes"
    assert retro.load_integration("B").name == "B"
    assert retro.load_integration("C").folder.parent.name == "experimental"
    for missing in ("D", "A-Snes"):
        with pytest.raises(ConfigError, match=f"no NES game {missing!r}"):
            retro.load_integration(missing)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ConfigError, match="stable-retro is not installed"):
        retro.list_games()


# As a game that environments play


CATCH = {
    "data": {
        "info": {
            "score": {"address": 0x14, "type": "<n3"},
            "lives": {"address": 0x17, "type": "|u1"},
            "state": {"address": 0x18, "type": "|u1"},
            "progress": {"address": 0x10, "type": "|u1"},
            "low": {"address": 0x11, "type": "|u1", "mask": 7},
        }
    },
    "scenario": {
        "reward": {"variables": {"score": {"reward": 2.0}, "lives": {"penalty": 0.5}}},
        "done": {"variables": {"state": {"op": "equal", "reference": 2}}},
        "actions": [[[], ["LEFT"], ["RIGHT"]]],
    },
    "metadata": {"default_state": "Game"},
}


def test_an_integration_is_played(tmp_path: Path) -> None:
    """Beside our own description of the cartridge that we make ourselves."""
    rom = tmp_path / "catch.nes"
    catch.cartridge(rom)
    folder = written(tmp_path, **CATCH)
    first = catch.GAME.starts["game"]
    game = retro.game_of(folder, first, cartridge=str(rom))
    assert game.actions == [[], ["left"], ["right"]]
    assert list(game.starts) == ["Game"]
    ours = make_vec(None, game, 4, seed=1, threads=1)
    known = dataclasses.replace(catch.GAME, settings={})
    plain = make_vec(rom, known, 4, seed=1, threads=1)
    plain.reset()
    _, infos = ours.reset()
    before = infos["lives"], infos["score"]
    drawn = np.random.RandomState(1)
    ended = 0
    for _ in range(600):
        actions = drawn.randint(0, 3, 4)
        _, rewards, terminated, _, infos = ours.step(actions)
        _, _, also, _, told = plain.step(actions)
        np.testing.assert_array_equal(terminated, also)
        np.testing.assert_array_equal(infos["score"], told["score"])
        np.testing.assert_array_equal(infos["progress_"], told["paddle"])
        np.testing.assert_array_equal(infos["low"], told["ball_x"] & 7)
        lost = np.minimum(infos["lives"] - before[0], 0)
        wanted = 2 * np.maximum(infos["score"] - before[1], 0) + 0.5 * lost
        going_on = ~terminated
        np.testing.assert_array_equal(rewards[going_on], wanted[going_on])
        before = infos["lives"], infos["score"]
        ended += int(terminated.sum())
    assert ended > 2


def test_the_cartridge_is_that_of_the_integration(tmp_path: Path) -> None:
    rom = tmp_path / "catch.nes"
    catch.cartridge(rom)
    folder = written(tmp_path, **CATCH)
    start = catch.GAME.starts["game"]
    sha = folder / "rom.sha"
    sha.write_text("facee9c577a5262dbe33ac4930bb0b58c8c037f7\n")
    with pytest.raises(RomError, match="is not the cartridge that Some describes"):
        make_vec(None, retro.game_of(folder, start, cartridge=str(rom)), 1)
    make_vec(None, retro.game_of(folder, start, cartridge=str(rom), any_revision=True), 1)
    sha.write_text(f"{'0' * 40}\n{open_rom(rom).contents_sha1.upper()}  other\n")
    make_vec(None, retro.game_of(folder, start, cartridge=str(rom)), 1)
    for damaged in ("", "none\n"):
        sha.write_text(damaged)
        with pytest.raises(ConfigError, match="holds no SHA-1 of a cartridge"):
            retro.load_integration(folder)


@pytest.mark.parametrize("actions", [[["LEFT"]], ["LEFT"], "LEFT", {"a": []}, [[[1]]]])
def test_actions_that_are_no_groups_are_told(tmp_path: Path, actions: Any) -> None:
    folder = written(tmp_path, scenario={"actions": actions})
    with pytest.raises(ConfigError, match="actions must be groups of lists of buttons"):
        retro.load_integration(folder)


def test_numbers_in_play_are_those_that_stable_retro_reads(tmp_path: Path) -> None:
    rom = tmp_path / "catch.nes"
    catch.cartridge(rom)
    types = ["|n1", ">n3", "<n3", "|d1", ">d2", "<d2", ">u3", "<i2"]
    data = {"info": {text: {"address": 0x200, "type": text} for text in types}}
    integration = retro.load_integration(written(tmp_path, data=data, scenario={}))
    game = retro.game_of(integration, lambda play: play.wait(1), cartridge=str(rom))
    envs, console = make_vec(None, game, 1), Console(rom)
    drawn = np.random.RandomState(0)
    for bytes_ in ([0x2F, 0xA3, 0x1B], *drawn.randint(0, 256, (40, 3)).tolist()):
        console.ram[0x200:0x203] = bytes_
        _, infos = envs.reset(options={"state": console.save()})
        for name, number in integration.variables.items():
            assert infos[name] == number.read(console.ram[None]), (name, bytes_)
        if bytes_ == [0x2F, 0xA3, 0x1B]:
            assert [infos[name][0] for name in ("|n1", ">d2", "<d2")] == [5, 2503, 325]


def test_what_a_script_says_is_to_be_given(tmp_path: Path) -> None:
    script = {"reward": {"script": "lua:correct_score"}, "done": {}}
    folder = written(tmp_path, scenario=script)
    with pytest.raises(ConfigError, match="a Lua script says what reward is"):
        retro.game_of(folder, b"")
    game = retro.game_of(folder, b"", reward=lambda now, before: now["score"])
    now = values(1, 2, 3)
    assert game.reward(now, now).tolist() == [2]  # type: ignore[arg-type]
    assert len(game.actions) == 36, "of each group one"
    assert ["up", "left", "A", "B"] in game.actions
