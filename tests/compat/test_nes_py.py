"""`warpzone.compat.nes_py` as nes-py 9.x has it, and the unchanged packages on it."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest

from warpzone.compat import nes_py
from warpzone.compat.nes_py.palette import GREYS, PALETTE
from warpzone.compat.nes_py.v9 import NESEnv, VectorNESEmulator, play
from warpzone.compat.nes_py.v9.nes_env import SCREEN_SHAPE_24_BIT, SCREEN_SHAPE_GRAYSCALE
from warpzone.compat.nes_py.v9.ram import normalize_ram_read_specs
from warpzone.compat.nes_py.v9.wrappers import JoypadSpace
from warpzone.errors import ConfigError, DisplayError, EngineError, RomError

GAME = "super-mario-bros"
TIME, SCORE = 0x07F8, 0x07DE


def opened(env: NESEnv) -> NESEnv:
    """Plays into the first level."""
    env.reset()
    for frame in range(300):
        env.step(8 if 40 <= frame < 44 else 0)
    return env


@pytest.fixture
def env() -> NESEnv:
    try:
        return NESEnv(GAME, render_mode="rgb_array")
    except RomError as error:
        pytest.skip(f"no network: {error}")


def test_five_values(env: NESEnv) -> None:
    shown, info = env.reset(seed=3)
    assert (shown.shape, shown.dtype.name, info) == ((240, 256, 3), "uint8", {})
    assert not shown.any(), "nothing is drawn at power-on"
    kept = shown.copy()
    shown, reward, terminated, truncated, info = env.step(0)
    assert (reward, terminated, truncated, info) == (0.0, False, False, {})
    assert type(reward) is float
    assert (shown == PALETTE[0]).all()
    np.testing.assert_array_equal(env.render(), shown)
    assert env.screen is shown
    opened(env)
    assert len(np.unique(env.screen.reshape(-1, 3), axis=0)) > 5
    assert not kept.any(), "what was shown does not change"
    env.close()
    with pytest.raises(ValueError, match="already been closed"):
        env.step(0)


def test_episodes_begin_at_a_backup(env: NESEnv) -> None:
    opened(env)
    env._backup()
    first = env.screen.copy()
    for _ in range(30):
        env.step(128)
    assert (env.screen != first).any()
    np.testing.assert_array_equal(env.reset()[0], first)


def test_ram_outlives_a_reset_as_with_the_reset_button(env: NESEnv) -> None:
    """Super Mario Bros. keeps its high score so; only the first power-on clears it."""
    opened(env)
    env.ram[0x07D7 : 0x07D7 + 6] = 0, 0, 1, 2, 3, 4  # the high score
    env.reset()
    for _ in range(60):
        env.step(0)
    assert env.ram[0x07D7 : 0x07D7 + 6].tolist() == [0, 0, 1, 2, 3, 4]


def test_snapshots(env: NESEnv) -> None:
    opened(env)
    saved = env.dump_state()
    shown = env.screen.copy()
    along = [env.step(129)[0].copy() for _ in range(40)]
    env.done = True
    env.load_state(saved)
    assert not env.done
    np.testing.assert_array_equal(env.screen, shown)
    np.testing.assert_array_equal([env.step(129)[0] for _ in range(40)], along)
    with pytest.raises(EngineError, match="the snapshot cannot be loaded"):
        env.load_state(saved[:-1])
    other = NESEnv("lost-levels")
    with pytest.raises(EngineError, match="another cartridge"):
        other.load_state(saved)


def test_observation_modes(env: NESEnv) -> None:
    opened(env)
    assert env.observation() is env.screen
    rgb = np.zeros(SCREEN_SHAPE_24_BIT, np.uint8)
    assert env.observation("rgb_array_contiguous", output=rgb) is rgb
    np.testing.assert_array_equal(rgb, env.screen)
    grey = env.observation("grayscale")
    assert grey.shape == SCREEN_SHAPE_GRAYSCALE
    red, green, blue = np.moveaxis(rgb.astype(int), -1, 0)
    np.testing.assert_array_equal(grey, (77 * red + 150 * green + 29 * blue) >> 8)
    assert len(set(GREYS.tolist())) > 30
    bad: Any
    for bad, why in (
        (np.zeros((240, 256), np.uint8), "shape must be"),
        (rgb.astype(np.float32), "dtype must be uint8"),
        (np.zeros((240, 256, 6), np.uint8)[..., ::2], "C-contiguous"),
    ):
        with pytest.raises(ConfigError, match=why):
            env.observation("rgb_array_contiguous", output=bad)
    rgb.flags.writeable = False
    with pytest.raises(ConfigError, match="writable"):
        env.observation("rgb_array_contiguous", output=rgb)
    with pytest.raises(ConfigError, match="'sepia': there are rgb_array"):
        env.observation("sepia")


def test_numbers_in_ram(env: NESEnv) -> None:
    env.reset()
    env.ram[0x10:0x14] = 0x12, 0x34, 0x56, 0x78
    env.ram[TIME : TIME + 3] = 3, 9, 7
    specs = (
        0x10,
        (0x10, 2),
        (0x10, 4, "big"),
        {"address": 0x10, "size": 2, "encoding": "bcd"},
        (TIME, 3, "digits"),
    )
    values = env.ram_values(specs)
    assert values.dtype == np.uint32
    assert values.tolist() == [0x12, 0x3412, 0x12345678, 1234, 397]
    out = np.zeros(len(specs), np.uint32)
    assert env.ram_values(specs, output=out) is out
    assert out.tolist() == values.tolist()
    assert env.ram_values([]).shape == (0,)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (0x800, "not within the 2048 bytes"),
        ((0x7FF, 2), "not within"),
        ((0, 0), "1 to 4 bytes, not 0"),
        ((0, 5), "1 to 4 bytes, not 5"),
        ((0, 2, "byte"), "1 to 1 bytes"),
        ((0, 2, "float"), "unknown RAM read encoding 'float'"),
        ((1, 2, 3, 4), "must be"),
        ({"size": 2}, "no address"),
        (("x", 2), "must be integers"),
        (1.5, "list of numbers"),
    ],
)
def test_wrong_numbers_in_ram_are_told(spec: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        normalize_ram_read_specs([spec])


def test_hooks_of_games() -> None:
    class Clock(NESEnv):
        reward_range = (-5, 5)

        def _get_reward(self) -> float:
            return 1000.0

        def _get_terminated(self) -> bool:
            return bool(self.ram[0x0770])

        def _get_truncated(self) -> bool:
            return bool(self.controllers[0][0] == 4)

        def _get_info(self) -> dict[str, Any]:
            return {"mode": int(self.ram[0x0770])}

    env = Clock(GAME)
    assert env.reset()[1] == {"mode": 0}
    assert env.step(1)[1:] == (5.0, False, False, {"mode": 0})
    assert env.step(4)[1:] == (5.0, False, True, {"mode": 0})
    with pytest.raises(ValueError, match="call `reset`"):
        env.step(0)
    with pytest.raises(ConfigError, match="render mode 'ascii'"):
        Clock(GAME, render_mode="ascii")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert env.seed(7) == [7]
    assert told[0].category is DeprecationWarning


def test_joypad_space(env: NESEnv) -> None:
    joypad = JoypadSpace(env, [["NOOP"], ["right", "B"], ["start"]])
    _, info = joypad.reset(seed=1)
    assert info == {}
    joypad.step(1)
    assert env.controllers[0][0] == 130


@pytest.mark.parametrize("action", [-1, 2, 1.5, "a", "1", None, [0, 1]])
def test_actions_that_there_are_not_are_told(env: NESEnv, action: Any) -> None:
    two = JoypadSpace(env, [["NOOP"], ["right", "A"]])
    two.reset()
    before = env.ram.copy()
    with pytest.raises(ConfigError, match=r"there is no action .*: actions are 0 to 1"):
        two.step(action)
    with pytest.raises(ConfigError, match="actions are 0 to 255"):
        env.step(256 if action in (2, 1) else action)
    assert np.array_equal(env.ram, before)
    two.step(np.int64(1))
    two.step(np.array([1]))


def test_a_second_controller_where_there_is_none(env: NESEnv) -> None:
    env.reset()
    env.controllers[1][0] = 8
    with pytest.raises(ConfigError, match=r"controllers\[1\] holds 8, and must stay at 0"):
        env.step(0)


def test_many_consoles_are_each_like_one(env: NESEnv) -> None:
    vector = VectorNESEmulator(GAME, 3)
    vector.reset()
    env.reset()
    drawn = np.random.RandomState(2)
    taken = []
    for frame in range(300):
        actions = np.array([8 if frame % 40 < 4 else 0, *drawn.randint(0, 256, 2)], np.uint8)
        taken.append(int(actions[0]))
        screens = vector.step(actions)
    shown = [env.step(action)[0] for action in taken][-1]
    np.testing.assert_array_equal(screens[0], shown)
    np.testing.assert_array_equal(vector.rams[0], env.ram)
    assert len(screens) == 3
    np.testing.assert_array_equal(vector.observation("rgb_array_contiguous"), np.stack(screens))
    np.testing.assert_array_equal(vector.observation("grayscale")[0], env.observation("grayscale"))
    np.testing.assert_array_equal(
        vector.observation_one(0, "grayscale"), env.observation("grayscale")
    )
    assert vector.ram_values([(TIME, 3, "digits"), 0x0770]).shape == (3, 2)
    assert vector.ram_values([0x0770])[0] == env.ram[0x0770]

    saved = vector.dump_state(0)
    vector.load_state(2, saved)
    np.testing.assert_array_equal(vector.screens[2], shown)
    timing = vector.step_timed(np.array([128, 0, 128], np.uint8))
    assert timing.native_step_seconds > 0
    assert set(timing.to_dict()) >= {"native_step_seconds", "action_transfer_seconds"}
    np.testing.assert_array_equal(vector.screens[0], vector.screens[2])
    np.testing.assert_array_equal(vector.step_one(1, 5), vector.observation_one(1))
    assert not vector.reset_one(1).any()


def test_wrong_use_of_many_consoles_is_told() -> None:
    with pytest.raises(ConfigError, match="env_count must be positive, not 0"):
        VectorNESEmulator(GAME, 0)
    vector = VectorNESEmulator(GAME, 2)
    with pytest.raises(ConfigError, match=r"actions shape must be \(2,\), got \(3,\)"):
        vector.step(np.zeros(3, np.uint8))
    with pytest.raises(ConfigError, match="dtype must be uint8, got int64"):
        vector.step(np.zeros(2, np.int64))
    with pytest.raises(IndexError, match="env index 2 is out of range"):
        vector.dump_state(2)
    with pytest.raises(ConfigError, match="there are rgb_array"):
        vector.observation("sepia")
    vector.close()
    with pytest.raises(ConfigError, match="already been closed"):
        vector.reset()


def test_packages_that_import_nes_py_get_ours() -> None:
    """In a process of its own, which has no nes_py."""
    program = (
        "import warpzone.compat.nes_py as compat; compat.install(); compat.install()\n"
        "import nes_py, nes_py.ram\n"
        "from nes_py import NESEnv, VectorNESEmulator\n"
        "from nes_py.nes_env import SCREEN_HEIGHT\n"
        "from nes_py.wrappers import JoypadSpace\n"
        "from nes_py.wrappers.joypad_space import JoypadSpace as same\n"
        "assert JoypadSpace is same and SCREEN_HEIGHT == 240\n"
        "print(NESEnv.__module__)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "warpzone.compat.nes_py.v9.nes_env"


def test_the_real_one_is_not_replaced_behind_its_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nes_py", gymnasium)
    with pytest.raises(ConfigError, match="nes_py is imported already"):
        nes_py.install()


# Played in a window, or at random


def test_random_play_needs_no_screen(env: NESEnv, capsys: pytest.CaptureFixture[str]) -> None:
    play.play_random(env, 200, render=False)
    assert capsys.readouterr().err.splitlines()[-1].startswith("200 of 200 steps: rewards 0")
    with pytest.raises(ConfigError, match="already been closed"):
        env.step(0)
    assert play.main(["--rom", GAME, "--mode", "random", "--steps", "3", "--no-render"]) == 0
    with pytest.raises(ConfigError, match="mode human needs a window"):
        play.main(["--rom", GAME, "--no-render"])
    with pytest.raises(ConfigError, match="--steps must be positive, not 0"):
        play.main(["--rom", GAME, "--mode", "random", "--steps", "0"])


def test_play_by_hand(env: NESEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    import pygame

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    joypad = JoypadSpace(env, [["NOOP"], ["right", "B"], ["start"]])
    seen: list[Any] = []

    def step(state: Any, action: int, reward: float, done: bool, shown: Any) -> None:
        seen.append(action)
        assert state.shape == shown.shape == (240, 256, 3)
        keys = {2: (pygame.KEYDOWN, "d"), 4: (pygame.KEYDOWN, "p"), 6: (pygame.KEYUP, "d")}
        if len(seen) in keys:
            kind, key = keys[len(seen)]
            pygame.event.post(pygame.event.Event(kind, key=ord(key)))
        if len(seen) == 8:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE))

    play.play_human(joypad, step)
    assert seen == [0, 0, 0, 0, 1, 1, 0, 0]


def test_play_by_hand_needs_a_screen(env: NESEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform in ("win32", "darwin"):
        pytest.skip("there is always a screen")
    with pytest.raises(DisplayError, match="play_random"):
        play.play_human(env)
