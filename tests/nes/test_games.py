"""Environments of described games, against an obvious twin: one `Console` each, stepped here."""

from __future__ import annotations

import copy
import dataclasses
import threading
from collections import deque
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray
from tests.smb.test_pixels import LUMA, shrink

from warpzone import Console
from warpzone.errors import ConfigError, EngineError, RomError
from warpzone.games.catch import GAME, cartridge
from warpzone.nes import Game, GameEnv, GameVectorEnv, Memory, Variable, make, make_vec
from warpzone.nes.assembler import assemble, image
from warpzone.nes.buttons import buttons_of
from warpzone.nes.console import PALETTE
from warpzone.nes.game_config import GameConfig, game_config
from warpzone.nes.game_start import Startup

MASK = 2**64 - 1


class Random:
    """SplitMix64 (Steele, Lea & Flood 2014), and its streams."""

    def __init__(self, state: int) -> None:
        self.state = state

    def next(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        return z ^ z >> 31

    def uniform(self) -> float:
        return (self.next() >> 11) * 2.0**-53


def stream(seed: int, index: int) -> Random:
    mixed = Random(Random(seed).next() ^ (index * 0xD1B54A32D192ED03) & MASK)
    mixed.next()
    return mixed


class Slow:
    """One game, everything done one after the other."""

    def __init__(self, path: Path, game: Game, config: GameConfig, seed: int, index: int) -> None:
        self.game, self.config = game, config
        self.console = Console(path, engine="interpreter")
        self.start = Console(path, engine="interpreter")
        start = next(iter(game.starts.values()))
        assert callable(start)
        start(Startup(self.start, game.variables))
        self.random = stream(seed, index)
        self.stack: deque[Any] = deque(maxlen=config.frame_stack)
        self.ended = True

    def picture(self) -> NDArray[np.int64]:
        crop = self.game.status_bar if self.config.crop_status_bar else 0
        return LUMA[self.console.screen()[crop:]]

    def read(self) -> dict[str, int]:
        ram, prg_ram = self.console.ram, self.console.prg_ram
        return {name: one.read(ram, prg_ram) for name, one in self.game.variables.items()}

    def reset(self) -> None:
        self.draws = stream(self.random.next(), 0)
        self.draws.uniform()  # of the start: there is one
        self.console.load(self.start.save())
        self.frames = self.steps = 0
        if self.config.noop_max:
            self.frames = int(self.draws.uniform() * (self.config.noop_max + 1))
            self.console.step(0, self.frames)
        self.held, self.total, self.ended = 0, 0.0, False
        self.now = self.read()
        self.best = self.come()
        first = shrink(self.picture(), self.config.size)
        self.stack.extend([first] * self.config.frame_stack)
        self.told = self.signals(self.now, self.now)

    def step(self, action: int) -> tuple[float, bool, bool]:
        if self.ended:
            self.reset()
            return 0.0, False, False
        before = self.now
        seen = []
        probability = self.config.repeat_action_probability
        for _ in range(self.config.frame_skip):
            if probability == 0 or self.draws.uniform() >= probability:
                self.held = buttons_of(self.game.actions[action])
            self.console.step(self.held)
            seen.append(self.picture())
        if self.config.consecutive:
            self.stack.extend(shrink(picture, self.config.size) for picture in seen)
        else:
            newest = seen[-1]
            if self.config.max_pool and len(seen) > 1:
                newest = np.maximum(seen[-2], seen[-1])
            self.stack.append(shrink(newest, self.config.size))
        self.steps += 1
        self.frames += self.config.frame_skip
        self.now = self.read()
        now = self.now
        best_before, self.best = self.best, max(self.best, self.come())
        reward, done, success = (
            getattr(self.game, name)(
                self.row(now) | self.reached(now, self.best),
                self.row(before) | self.reached(before, best_before),
            )[0]
            for name in ("reward", "done", "success")
        )
        terminated = bool(done or success)
        truncated = not terminated and self.steps == self.config.max_steps
        self.total += float(reward)
        self.told = self.signals(now, before)
        self.ended = terminated or truncated
        return float(reward), terminated, truncated

    def come(self, values: dict[str, int] | None = None) -> float:
        assert self.game.progress is not None
        row = self.row(values or self.now)
        return float(self.game.progress(row, row)[0])

    def reached(self, values: dict[str, int], best: float) -> dict[str, Any]:
        return {"progress": np.array([self.come(values)]), "best_progress": np.array([best])}

    def row(self, values: dict[str, int]) -> Any:
        counters = {"steps": self.steps, "frames": self.frames}
        return {name: np.array([value]) for name, value in {**values, **counters}.items()}

    def signals(self, now: dict[str, int], before: dict[str, int]) -> dict[str, Any]:
        found = self.game.success(self.row(now), self.row(before))
        shown = {name: value for name, value in now.items() if name != "_hidden"}
        told: dict[str, Any] = {**shown, "steps": self.steps, "frames": self.frames}
        told |= {"progress": self.come(), "best_progress": self.best}
        return told | {"episode_return": self.total, "success": bool(found[0])}


def banked(data: bytes) -> bytes:
    """The same cartridge on a board with banks, of which the program changes none."""
    return data[:6] + bytes([data[6] | 0x20]) + data[7:]


@pytest.fixture(scope="session", params=["plain", "banked"])
def catch(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catch") / f"{request.param}.nes"
    path.write_bytes(cartridge() if request.param == "plain" else banked(cartridge()))
    return path


SETTINGS: list[dict[str, Any]] = [
    {},
    {"noop_max": 30, "repeat_action_probability": 0.25, "crop_status_bar": True},
    {"max_pool": True, "frame_stack": 2, "size": (60, 72), "autoreset": "next_step"},
    {"consecutive": True, "frame_skip": 2, "frame_stack": 2, "noop_max": 5},
    {"max_pool": True, "frame_skip": 1, "frame_stack": 1, "repeat_action_probability": 0.5},
]

SHORT = dataclasses.replace(
    GAME,
    done=lambda now, before: now["lives"] < 3,
    success=lambda now, before: now["score"] >= 2,
    reward=lambda now, before: (
        (now["best_progress"] - before["best_progress"])
        + (now["progress"] - before["progress"]) / 4
    ),
    progress=lambda now, before: np.abs(now["paddle"] - 120) / 8,
    variables={
        **GAME.variables,
        "_hidden": Variable(address=0x12),
        "high_bit": Variable(address=0x11, bit=7),
    },
    settings={},
)
"""Catch in short: the second ball wins, the first that is missed loses."""


@pytest.mark.parametrize(
    "call",
    [
        lambda envs: envs.send(0, np.zeros(1, np.int64)),
        lambda envs: envs.recv(0),
        lambda envs: envs.set_start_weights([1.0]),
        lambda envs: envs.prg_ram(0),
        lambda envs: envs.console_state(0),
        lambda envs: envs.close(),
    ],
    ids=["send", "recv", "set_start_weights", "prg_ram", "console_state", "close"],
)
def test_a_second_thread_is_refused_while_one_steps(catch: Path, call: Any) -> None:
    """As with games of levels (tests/smb/test_exclusive.py)."""
    envs = make_vec(catch, GAME, 1, threads=1)
    envs.reset()
    refused: list[BaseException] = []

    def meanwhile() -> None:
        try:
            call(envs)
        except BaseException as error:
            refused.append(error)

    with envs._in_use:  # as a step holds it
        other = threading.Thread(target=meanwhile)
        other.start()
        other.join()
    assert [type(error) for error in refused] == [EngineError]
    assert "another thread is using these games" in str(refused[0])
    envs.step(np.zeros(1, np.int64))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_as_one_console_each(catch: Path, settings: dict[str, Any]) -> None:
    games, autoreset = 3, settings.get("autoreset", "same_step")
    settings = {**settings, "max_steps": 20}
    envs = make_vec(catch, SHORT, games, seed=7, threads=2, num_groups=2, **settings)
    config = game_config(SHORT, settings)
    slow = [Slow(catch, SHORT, config, 7, index) for index in range(games)]
    obs, infos = envs.reset()
    for game in slow:
        game.reset()
    ends = 0

    def same(obs: Any, infos: dict[str, Any]) -> None:
        for index, game in enumerate(slow):
            assert np.array_equal(obs[index], np.array(game.stack))
            assert envs.console_state(index) == game.console.save()
            for name, value in game.told.items():
                assert infos[name][index] == value, name

    same(obs, infos)
    rng = np.random.default_rng(3)
    for _ in range(30):
        actions = rng.integers(len(SHORT.actions), size=games)
        obs, rewards, terminated, truncated, infos = envs.step(actions)
        results = [game.step(int(action)) for game, action in zip(slow, actions, strict=True)]
        assert [*zip(rewards.tolist(), terminated.tolist(), truncated.tolist(), strict=True)] == (
            results
        )
        for index, game in enumerate(slow):
            if game.ended and autoreset == "same_step":
                ends += 1
                assert infos["_final_obs"][index]
                assert np.array_equal(infos["final_obs"][index], np.array(game.stack))
                for name, value in game.told.items():
                    assert infos["final_info"][name][index] == value, name
                game.reset()
        same(obs, infos)
    assert ends > 0 or autoreset == "next_step"
    assert envs.save_state() == copy.deepcopy(envs).save_state()


@pytest.mark.parametrize("observation", ["pixels", "variables", "ram", "rgb"])
def test_what_is_seen(catch: Path, observation: str) -> None:
    envs = make_vec(catch, GAME, 2, seed=1, observation=observation, noop_max=0)
    obs, infos = envs.reset()
    for _ in range(5):
        obs, _, _, _, infos = envs.step(np.array([1, 2]))
    assert obs.dtype == envs.single_observation_space.dtype
    assert obs.shape[1:] == envs.single_observation_space.shape
    console = Console(catch, engine="interpreter")
    for game in range(2):
        console.load(envs.console_state(game))
        if observation == "ram":
            assert np.array_equal(obs[game], console.ram)
        if observation == "rgb":
            assert np.array_equal(obs[game], console.rgb())
        if observation == "variables":
            most = {name: one.most for name, one in GAME.variables.items()}
            wanted = [infos[name][game] / most[name] for name in most]
            assert np.allclose(obs[game], wanted)
        assert np.array_equal(envs.picture(game), PALETTE[console.screen()])


def test_an_observation_of_ones_own(catch: Path) -> None:
    game = dataclasses.replace(
        GAME,
        observe=lambda now, before: np.stack([now["ball_x"] - now["paddle"], now["ball_y"]], 1),
    )
    envs = make_vec(catch, game, 3, observation="variables", seed=0)
    obs, infos = envs.reset()
    assert obs.dtype == np.float32
    assert np.array_equal(obs[:, 0], infos["ball_x"] - infos["paddle"])
    bad = dataclasses.replace(GAME, observe=lambda now, before: now["score"])
    with pytest.raises(ConfigError, match=r"observe returned shape \(1,\) for one game"):
        make_vec(catch, bad, 1, observation="variables")


def test_threads_and_groups_change_nothing(catch: Path) -> None:
    def play(threads: int, groups: int) -> list[Any]:
        envs = make_vec(
            catch, SHORT, 5, seed=3, threads=threads, num_groups=groups, max_steps=30, noop_max=9
        )
        seen = [envs.reset()[0]]
        rng = np.random.default_rng(0)
        for _ in range(60):
            obs, rewards, terminated, _, _ = envs.step(rng.integers(3, size=5))
            seen += [obs, rewards, terminated]
        return seen

    for a, b in zip(play(1, 1), play(3, 2), strict=True):
        assert np.array_equal(a, b)


VARIABLES = {
    "byte": Variable(address=0x300),
    "signed": Variable(address=0x301, signed=True),
    "little": Variable(address=0x302, width=3),
    "big": Variable(address=0x302, width=3, order="big"),
    "apart": Variable(address=(0x305, 0x3FF)),
    "wide": Variable(address=0x310, width=7, signed=True),
    "bcd": Variable(address=0x320, width=3, coding="bcd"),
    "digits": Variable(address=0x330, width=6, order="big", coding="digits"),
    "bcd_modulo": Variable(address=0x320, width=3, coding="bcd", above_nine="modulo"),
    "digits_modulo": Variable(address=0x330, width=6, coding="digits", above_nine="modulo"),
    "bit": Variable(address=0x340, width=2, bit=11),
    "bits": Variable(address=0x340, width=2, bit=3, bits=7, signed=True),
    "own": Variable(address=0x6010, width=2),
}


def with_ram_of_its_own() -> bytes:
    """A cartridge (MMC1) with RAM, whose program does nothing."""
    program, names = assemble("reset:\n jmp reset\nnmi:\n rti", 0x8000)
    data = image(program, b"", nmi=names["nmi"], reset=names["reset"], irq=names["nmi"])
    return data[:6] + bytes([data[6] | 0x10]) + data[7:]


def test_variables_are_read_as_python_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "ram.nes"
    path.write_bytes(with_ram_of_its_own())
    game = Game(
        name="ram",
        variables=VARIABLES,
        actions=[[]],
        starts={"on": lambda play: play.wait(1)},
        reward=lambda now, before: now["byte"],
        done=lambda now, before: now["byte"] < 0,
    )
    envs = make_vec(path, game, 1)
    console = Console(path)
    assert len(console.prg_ram) == 0x2000
    rng = np.random.default_rng(0)
    for round_ in range(50):
        console.ram[:] = rng.integers(256, size=0x800)
        console.prg_ram[:] = rng.integers(256, size=0x2000)
        _, infos = envs.reset(options={"state": console.save()})
        for name, variable in VARIABLES.items():
            value = variable.read(console.ram, console.prg_ram)
            assert infos[name][0] == value, (round_, name)
    # And what those numbers are to be, by hand.
    console.ram[0x301:0x306] = [0xFE, 1, 2, 3, 4]
    console.ram[0x3FF] = 5
    console.ram[0x310:0x317] = 0xFF
    console.ram[0x320:0x323] = [0x56, 0x34, 0x12]
    console.ram[0x330:0x336] = [0, 1, 2, 3, 4, 0xFF]
    console.ram[0x340:0x342] = [0b11111000, 0b00001011]
    console.prg_ram[0x10:0x12] = [7, 8]
    _, infos = envs.reset(options={"state": console.save()})
    wanted = {
        "signed": -2, "little": 0x030201, "big": 0x010203, "apart": 0x0504, "wide": -1,
        "bcd": 123456, "digits": 12355, "digits_modulo": 543210, "bit": 1, "bits": -1,
        "own": 0x0807,
    }  # fmt: skip
    assert {name: infos[name][0].item() for name in wanted} == wanted


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"address": 0x800}, "there is no variable at 0x0800"),
        ({"address": 0x7FFF, "width": 2}, "there is no variable at 0x8000"),
        ({"address": 1, "coding": "bcd", "signed": True}, "only binary variables"),
        ({"address": (1, 2), "width": 2}, "width and order are for a single address"),
        ({"address": 1, "bit": 8}, "bit 8 and 1 in all: there are 8"),
        ({"address": 1, "bits": 2}, "bits is how many"),
        ({"address": 1, "width": 0}, "at least one byte"),
        ({"address": 1, "coding": "octal"}, "coding is 'octal'"),
        ({"address": 1, "above_nine": "modulo"}, "above_nine is for decimal digits"),
        ({"address": 1, "coding": "bcd", "above_nine": "byte"}, "above_nine is 'byte'"),
        ({"address": 1, "width": 8}, "a binary variable has 1 to 7 bytes, this has 8"),
        ({"address": ()}, "a binary variable has 1 to 7 bytes, this has 0"),
    ],
)
def test_variables_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Variable(**given)


SEES_MEMORY = dataclasses.replace(
    SHORT,
    memory={"ball": Memory(address=0x10, size=8)},
    observe=lambda now, before: np.concatenate([now["ball"], before["ball"]], axis=1),
)
"""Sees eight bytes as they stand, and as they stood before the step."""


@pytest.mark.parametrize("autoreset", ["same_step", "next_step", "disabled"])
def test_stretches_of_memory_are_those_of_the_consoles(catch: Path, autoreset: str) -> None:
    envs = make_vec(
        catch, SEES_MEMORY, 3, seed=2, num_groups=2, noop_max=9, observation="variables",
        max_steps=15, autoreset=autoreset,
    )  # fmt: skip

    def balls() -> NDArray[np.uint8]:
        return np.stack([envs.ram(game)[0x10:0x18].copy() for game in range(3)])

    obs, infos = envs.reset()
    assert "ball" not in infos
    assert np.array_equal(obs, np.concatenate([balls(), balls()], axis=1))
    rng = np.random.default_rng(3)
    ended, begun = np.zeros(3, np.bool_), 0
    for _ in range(60):
        before = balls()
        obs, _, terminated, truncated, infos = envs.step(rng.integers(3, size=3))
        over = terminated | truncated
        fresh = over if autoreset == "same_step" else ended & (autoreset == "next_step")
        begun += int(fresh.sum())
        before = np.where(fresh[:, None], balls(), before)
        assert np.array_equal(obs, np.concatenate([balls(), before], axis=1))
        if autoreset == "same_step":
            for game in np.flatnonzero(over):
                assert not np.array_equal(infos["final_obs"][game], obs[game])
        ended = over
        if autoreset == "disabled" and over.any():
            obs, _ = envs.reset(options={"reset_mask": over})
            begun += int(over.sum())
            assert np.array_equal(obs[over], np.concatenate([balls(), balls()], axis=1)[over])
    assert begun > 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"address": 0x7FF, "size": 2}, "no stretch of 2 bytes at 0x07ff"),
        ({"address": 0x5FFF, "size": 8}, "no stretch of 8 bytes at 0x5fff"),
        ({"address": 0, "size": 0}, "no stretch of 0 bytes"),
    ],
)
def test_stretches_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Memory(**given)


def test_a_stretch_in_ram_that_the_cartridge_lacks(catch: Path) -> None:
    game = dataclasses.replace(GAME, memory={"own": Memory(address=0x6000, size=0x2000)})
    with pytest.raises(ConfigError, match=r"no stretch of 8192 bytes at 24576.*has 0 bytes of RAM"):
        make_vec(catch, game, 1)


def test_a_variable_in_ram_that_the_cartridge_lacks(catch: Path) -> None:
    own = {**GAME.variables, "own": Variable(address=0x6000)}
    game = dataclasses.replace(GAME, variables=own, starts={"a": Console(catch).save()})
    with pytest.raises((ConfigError, EngineError), match="RAM"):
        make_vec(catch, game, 1)


@pytest.mark.parametrize("game", [SHORT, SEES_MEMORY], ids=["variables", "memory"])
def test_saved_games_go_on_as_they_did(catch: Path, game: Game) -> None:
    settings: dict[str, Any] = {"observation": "variables", "noop_max": 9, "max_steps": 25}
    envs = make_vec(catch, game, 3, seed=5, repeat_action_probability=0.2, **settings)
    other = make_vec(catch, game, 3, seed=6, repeat_action_probability=0.2, **settings)
    envs.reset()
    other.reset()
    for _ in range(10):
        envs.step(np.array([0, 1, 2]))
    other.load_state(envs.save_state())
    assert other.save_state() == envs.save_state()
    copied = copy.deepcopy(envs)
    swapped = make_vec(catch, game, 1, seed=7, repeat_action_probability=0.2, **settings)
    swapped.load_state(envs.save_state(game=2))
    rng = np.random.default_rng(1)
    for _ in range(60):
        actions = rng.integers(3, size=3)
        a, b, c = (one.step(actions) for one in (envs, other, copied))
        d = swapped.step(actions[2:])
        for x, y, z in zip(a[:4], b[:4], c[:4], strict=True):
            assert np.array_equal(x, y)
            assert np.array_equal(x, z)
        for x, y in zip(a[:4], d[:4], strict=True):
            assert np.array_equal(x[2:], y)
        assert np.array_equal(a[4]["episode_return"], b[4]["episode_return"])


def test_damaged_states_are_refused_and_change_nothing(catch: Path) -> None:
    envs = make_vec(catch, GAME, 2, seed=5)
    envs.reset()
    saved = envs.save_state()
    for bad in (b"", saved[:-1], saved + b"\0", b"x" + saved[1:], saved[:60] + b"\xff" * 8192):
        with pytest.raises(EngineError):
            envs.load_state(bad)
    damaged = bytearray(saved)
    damaged[0x40 + 16 : 0x40 + 400] = b"\xff" * 384  # the console's clock and registers
    with pytest.raises(EngineError, match=r"damaged|snapshot"):
        envs.load_state(bytes(damaged))
    assert envs.save_state() == saved


def test_where_episodes_begin(catch: Path) -> None:
    def later(play: Startup) -> None:
        play.until(lambda now: now["state"] == 1, "start")
        play.until(lambda now: now["ball_y"] > 100)

    console = Console(catch)
    console.step(0, 30)
    console.step(8, 2)
    console.step(0, 7)
    moment = console.save()
    game = dataclasses.replace(
        GAME, starts={**GAME.starts, "later": later, "moment": moment}, settings={}
    )
    envs = make_vec(catch, game, 60, seed=0, starts={"game": 1.0, "later": 3.0})
    _, infos = envs.reset()
    is_later = infos["ball_y"] > 90
    assert 30 < is_later.sum() < 59
    assert envs.tasks() == ["game", "later"]
    _, infos = envs.reset(options={"start": "later"})
    assert (infos["ball_y"] == infos["ball_y"][0]).all()
    assert infos["ball_y"][0] > 100
    _, infos = make_vec(catch, game, 1, starts="moment").reset()
    assert infos["ball_y"] == console.ram[0x12]
    _, infos = envs.reset(options={"state": [moment, *[None] * 59]})
    assert infos["ball_y"][0] == console.ram[0x12]
    with pytest.raises(ConfigError, match="no start 'moment' is played here"):
        envs.reset(options={"start": "moment"})
    with pytest.raises(ConfigError, match="catch has no start 'nowhere': there are game, later"):
        make_vec(catch, game, 1, starts="nowhere")
    with pytest.raises(EngineError, match="snapshot"):
        envs.reset(options={"state": b"no"})
    stuck = dataclasses.replace(
        game, starts={"a": lambda play: play.until(lambda now: now["state"] == 9, limit=60)}
    )
    with pytest.raises(EngineError, match="what is waited for has not come"):
        make_vec(catch, stuck, 1)


def test_limits(catch: Path) -> None:
    still = dataclasses.replace(GAME, progress=lambda now, before: now["score"], settings={})
    env = make(catch, still, no_progress_steps=7)
    env.reset(seed=0)
    for step in range(1, 8):
        _, _, terminated, truncated, _ = env.step(0)
        assert (terminated, truncated) == (False, step == 7)
    with pytest.raises(EngineError, match="no running episode"):
        env.step(0)
    without = dataclasses.replace(still, progress=None)
    with pytest.raises(ConfigError, match="does not say what its progress is"):
        make(catch, without, no_progress_steps=7)


def test_functions_that_are_wrong_are_named(catch: Path) -> None:
    def with_(**changes: Any) -> Game:
        return dataclasses.replace(GAME, **changes)

    with pytest.raises(ConfigError, match="catch: done is true at the start 'game'"):
        make_vec(catch, with_(done=lambda now, before: now["state"] == 1), 1)
    with pytest.raises(ConfigError, match=r"reward returned shape \(\); there must be one value"):
        make_vec(catch, with_(reward=lambda now, before: 1.0), 1)
    with pytest.raises(ConfigError, match="reward returned nan; it must be a finite number"):
        make_vec(catch, with_(reward=lambda now, before: now["state"] * np.nan), 1)
    with pytest.raises(ConfigError, match="progress returned inf; it must be a finite number"):
        make_vec(catch, with_(progress=lambda now, before: now["state"] + np.inf), 1)
    with pytest.raises(ConfigError, match="there is no variable 'points': there are score, lives"):
        make_vec(catch, with_(reward=lambda now, before: now["points"]), 1)
    with pytest.raises(ConfigError, match="there is no button 'jump'"):
        with_(actions=[["jump"]])
    with pytest.raises(ConfigError, match="must not be called 'steps'"):
        with_(variables={"steps": Variable(address=1)})
    with pytest.raises(ConfigError, match="a variable must not be called 'score'"):
        with_(memory={"score": Memory(address=1, size=2)})
    with pytest.raises(ConfigError, match="a stretch of memory must not be called 'steps'"):
        with_(memory={"steps": Memory(address=1, size=2)})
    with pytest.raises(ConfigError, match="a game needs a start"):
        with_(starts={})
    with pytest.raises(RomError, match="is not the cartridge that catch describes"):
        make_vec(catch, with_(contents=["0" * 40]), 1)
    with pytest.raises(ConfigError, match="frame_stack is for the observation 'pixels'"):
        make_vec(catch, GAME, 1, observation="ram", frame_stack=2)
    with pytest.raises(ConfigError, match="frame_skp"):
        make_vec(catch, GAME, 1, frame_skp=2)
    with pytest.raises(ConfigError, match="there is no game 'chess': there are catch"):
        make_vec(catch, "chess", 1)


def test_actions_are_checked_before_anything_moves(catch: Path) -> None:
    envs = make_vec(catch, GAME, 2, seed=0, num_groups=2)
    envs.reset()
    before = envs.save_state()
    for bad in (np.array([0, 3]), np.array([-1, 0]), np.array([0.0, 1.0]), np.array([0])):
        with pytest.raises(ConfigError):
            envs.step(bad)
    assert envs.save_state() == before
    envs.close()
    with pytest.raises(EngineError, match="closed"):
        envs.step(np.array([0, 0]))


def test_one_game_is_an_environment_of_gymnasium(catch: Path) -> None:
    env = make(catch, GAME, render_mode="rgb_array", keep_frames=True)
    check_env(env, skip_render_check=False)
    env.reset(seed=1)
    env.step(2)
    frames = env.frames()
    assert frames.shape == (4, 240, 256)
    assert np.array_equal(PALETTE[frames[-1]], env.render())
    assert isinstance(env, GameEnv)
    assert env.get_action_meanings() == ["nothing", "left", "right"]


def test_one_game_plays_as_the_first_of_many(catch: Path) -> None:
    env = make(catch, SHORT, noop_max=20)
    envs = make_vec(catch, SHORT, 2, noop_max=20, autoreset="disabled")
    obs, _ = env.reset(seed=11)
    many, _ = envs.reset(seed=[11, 12])
    for _ in range(8):
        assert np.array_equal(obs, many[0])
        obs, _, done, _, _ = env.step(2)
        many, *_ = envs.step(np.array([2, 2]))
        assert not done


def test_made_by_gymnasium(catch: Path) -> None:
    env = gymnasium.make("warpzone/Game-v0", rom=catch, game="catch", observation="ram")
    obs, _ = env.reset(seed=0)
    assert obs.shape == (2048,)
    envs = gymnasium.make_vec("warpzone/Game-v0", 3, rom=catch, game=GAME, seed=0)
    assert isinstance(envs.unwrapped, GameVectorEnv)
    assert envs.reset()[0].shape == (3, 4, 84, 84)
