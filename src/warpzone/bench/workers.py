"""Plays one contestant with random actions for some seconds; `warpzone bench` runs it.

    python workers.py stable_retro --rom GAME.nes --seconds 3

Runs alone under the Python of any contestant, so it imports nothing of this project but `warpzone`
itself, and that only to measure it. The last line of its output is one JSON object. All loops of
one game at a time share their preparation of pictures, so that no contestant pays for a slow one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from warpzone.smb.memory import MEMORY, STATES
from warpzone.smb.starts import start_level

SKIP, STACK, SIZE = 4, 4, 84
HELD_FRAMES, LIFE_FRAMES = 8, 2000
"""Of `stable_retro_frames`."""
ACTIONS = (
    (),
    ("RIGHT",),
    ("RIGHT", "A"),
    ("RIGHT", "B"),
    ("RIGHT", "A", "B"),
    ("A",),
    ("LEFT",),
)
"""SIMPLE_MOVEMENT, in its order."""
BITS = {"A": 1, "B": 2, "LEFT": 64, "RIGHT": 128}
"""Of the buttons, for `Console.step`."""
DRAWN = 1009
"""Steps whose actions are drawn in advance, so that drawing them costs nobody anything."""


class Play(NamedTuple):
    """A contestant, ready to be stepped."""

    step: Callable[[], int]
    """Plays one agent step of each game; returns how many episodes ended."""
    games: int
    packages: tuple[str, ...]
    """Whose versions are reported."""
    rom: Path | None


class Settings(NamedTuple):
    rom: Path
    games: int
    threads: int
    seed: int
    folder: Path
    """To write to; gone afterwards."""


def warpzone_pixels(settings: Settings) -> Play:
    return _warpzone(settings, "pixels")


def warpzone_tiles(settings: Settings) -> Play:
    return _warpzone(settings, "tiles")


def warpzone_frames(settings: Settings) -> Play:
    """The console alone, compiled: a step is a frame, and nobody looks at any."""
    return _console_frames(settings, "compiled")


def warpzone_frames_interpreted(settings: Settings) -> Play:
    """The same with the interpreter."""
    return _console_frames(settings, "interpreter")


def _console_frames(settings: Settings, engine: str) -> Play:
    from warpzone.nes.console import Console

    console = Console(settings.rom, engine=engine)
    start_level(console, "1-1")
    start = console.save()
    buttons = [sum(BITS[name] for name in names) for names in ACTIONS]
    actions = _Actions(settings.seed, len(ACTIONS))
    frames = 0

    def step() -> int:
        nonlocal frames
        if frames % LIFE_FRAMES == 0:
            console.load(start)
        console.step(buttons[actions.next()], HELD_FRAMES)
        frames += HELD_FRAMES
        return 0

    return Play(step, HELD_FRAMES, ("warpzone",), settings.rom)


def warpzone_tiles_received(settings: Settings) -> Play:
    """As trainers do it: `send` and `recv`."""
    env, games = _warpzone_env(settings, "tiles"), settings.games
    actions = _Actions(settings.seed, len(ACTIONS), games)

    def step() -> int:
        env.send(0, actions.next())
        return len(env.recv(0).finished)

    return Play(step, games, ("warpzone", "numpy", "gymnasium"), settings.rom)


def _warpzone(settings: Settings, observation: str) -> Play:
    env, games = _warpzone_env(settings, observation), settings.games
    actions = _Actions(settings.seed, len(ACTIONS), games)

    def step() -> int:
        _, _, terminated, truncated, _ = env.step(actions.next())
        return int(np.count_nonzero(terminated | truncated))

    return Play(step, games, ("warpzone", "numpy", "gymnasium"), settings.rom)


def _warpzone_env(settings: Settings, observation: str) -> Any:
    from warpzone.smb.config import env_config
    from warpzone.smb.vector_env import MarioVectorEnv

    pictures = {"frame_stack": STACK, "size": SIZE} if observation == "pixels" else {}
    env = MarioVectorEnv(
        num_envs=settings.games,
        threads=settings.threads,
        seed=settings.seed,
        rom=settings.rom,
        engine="compiled",
        config=env_config(observation=observation, frame_skip=SKIP, **pictures),
    )
    env.reset(seed=settings.seed)
    return env


def stable_retro(settings: Settings) -> Play:
    """Its Gymnasium environment: four of its steps make one agent step."""
    env, buttons = retro_env(settings)
    actions = _Actions(settings.seed, len(ACTIONS))
    pictures = Pictures(env.reset()[0])

    def step() -> int:
        pressed = buttons[actions.next()]
        for _ in range(SKIP):
            picture, _, done, _, _ = env.step(pressed)
            if done:
                pictures.begin(env.reset()[0])
                return 1
        pictures.add(picture)
        return 0

    return Play(step, 1, ("stable-retro", *_PICTURE_PACKAGES, "gymnasium"), settings.rom)


def stable_retro_bare(settings: Settings) -> Play:
    """Its emulator without its environment: RAM, end of episode and picture read once per step."""
    env, buttons = retro_env(settings)
    actions = _Actions(settings.seed, len(ACTIONS))
    pictures = Pictures(env.reset()[0])
    emulator, data = env.em, env.data

    def step() -> int:
        emulator.set_button_mask(buttons[actions.next()], 0)
        for _ in range(SKIP):
            emulator.step()
        data.update_ram()
        if data.is_done():
            pictures.begin(env.reset()[0])
            return 1
        pictures.add(emulator.get_screen())
        return 0

    return Play(step, 1, ("stable-retro", *_PICTURE_PACKAGES, "gymnasium"), settings.rom)


def stable_retro_frames(settings: Settings) -> Play:
    """Its emulator with nothing around it: a step is a frame, and nobody looks at any."""
    env, buttons = retro_env(settings)
    actions = _Actions(settings.seed, len(ACTIONS))
    emulator, start = env.em, env.initial_state
    frames = 0

    def step() -> int:
        nonlocal frames
        if frames % LIFE_FRAMES == 0:
            emulator.set_state(start)
        emulator.set_button_mask(buttons[actions.next()], 0)
        for _ in range(HELD_FRAMES):
            emulator.step()
        frames += HELD_FRAMES
        return 0

    return Play(step, HELD_FRAMES, ("stable-retro",), settings.rom)


def retro_env(settings: Settings) -> tuple[Any, Any]:
    """An environment that starts in 1-1 and ends with Mario's life; the buttons of each action."""
    retro = import_module("stable_retro")
    read = ("oper_mode", "world", "stage", "player_state", "x_page", "x", "y_page")
    bytes_of_ram = {name: MEMORY[name] for name in read}
    ends = {  # dying; below the screen
        "player_state": {"op": "equal", "reference": STATES["dying"]},
        "y_page": {"op": "greater-than", "reference": 1},
    }
    files: dict[str, Any] = {
        "data.json": {
            "info": {name: {"address": a, "type": "|u1"} for name, a in bytes_of_ram.items()}
        },
        "scenario.json": {
            "done": {"condition": "any", "variables": ends},
            "reward": {"variables": {"x": {"reward": 1}}},
        },
        "metadata.json": {},
    }
    game = settings.folder / "SuperMarioBros-Nes-v0"
    game.mkdir()
    for name, content in files.items():
        (game / name).write_text(json.dumps(content), encoding="utf-8")
    shutil.copy(settings.rom, game / "rom.nes")
    (game / "rom.sha").write_text(_sha1(settings.rom), encoding="utf-8")
    retro.data.Integrations.add_custom_path(str(settings.folder))
    env = retro.make(
        game.name,
        state=retro.State.NONE,
        inttype=retro.data.Integrations.CUSTOM_ONLY,
        use_restricted_actions=retro.Actions.ALL,
        render_mode="rgb_array",
    )
    buttons = np.array([[b in names for b in env.buttons] for names in ACTIONS], np.uint8)

    # It has no state for this revision of the ROM: press Start, and wait for Mario to stand there.
    start = np.array([b == "START" for b in env.buttons], np.uint8)
    env.reset()
    for frame in range(600):
        pressed = frame > 30 and frame % 40 < 2
        info = env.step(start * pressed)[-1]
        if info["oper_mode"] == 1 and info["player_state"] == STATES["playing"]:
            break
    else:
        raise RuntimeError("the game did not start")
    if (info["world"], info["stage"]) != (0, 0):
        raise RuntimeError(f"the game started in another level than 1-1: {info}")
    env.initial_state = env.em.get_state()
    return env, buttons


def gym_super_mario_bros(settings: Settings) -> Play:
    """Release 7.4 with the ROM that it brings along; four of its steps make one agent step."""
    package = import_module("gym_super_mario_bros.smb_env")
    roms = import_module("gym_super_mario_bros._roms")
    wrappers = import_module("nes_py.wrappers")
    actions_of = import_module("gym_super_mario_bros.actions")

    env = wrappers.JoypadSpace(package.SuperMarioBrosEnv(target=(1, 1)), actions_of.SIMPLE_MOVEMENT)
    actions = _Actions(settings.seed, len(ACTIONS))
    pictures = Pictures(env.reset())

    def step() -> int:
        action = actions.next()
        for _ in range(SKIP):
            picture, _, done, _ = env.step(action)
            if done:
                pictures.begin(env.reset())
                return 1
        pictures.add(picture)
        return 0

    packages = ("gym-super-mario-bros", "nes-py", "gym", *_PICTURE_PACKAGES)
    return Play(step, 1, packages, Path(roms.rom_path(False, "vanilla")))


def ale(settings: Settings) -> Play:
    """Another console and another game: Breakout on ALE's own vector environment."""
    vector = import_module("ale_py.vector_env")
    env = vector.AtariVectorEnv(
        "breakout",
        settings.games,
        num_threads=settings.threads,
        frameskip=SKIP,
        stack_num=STACK,
        img_height=SIZE,
        img_width=SIZE,
    )
    return _atari(env, settings, ("ale-py", "numpy", "gymnasium"))


def envpool(settings: Settings) -> Play:
    """Another console and another game: Breakout on EnvPool."""
    env = import_module("envpool").make(
        "Breakout-v5",
        env_type="gymnasium",
        num_envs=settings.games,
        num_threads=settings.threads,
        seed=settings.seed,
        frame_skip=SKIP,
        stack_num=STACK,
        img_height=SIZE,
        img_width=SIZE,
    )
    return _atari(env, settings, ("envpool", "numpy", "gymnasium"))


def _atari(env: Any, settings: Settings, packages: tuple[str, ...]) -> Play:
    picture, _ = env.reset()
    expected = (settings.games, STACK, SIZE, SIZE)
    if picture.shape != expected:
        raise RuntimeError(f"observations have shape {picture.shape}, not {expected}")
    actions = _Actions(settings.seed, 4, settings.games)

    def step() -> int:
        _, _, terminated, truncated, _ = env.step(actions.next())
        return int(np.count_nonzero(terminated | truncated))

    return Play(step, settings.games, packages, None)


_PICTURE_PACKAGES = ("numpy", "opencv-python-headless")


class _Actions:
    """Random actions, drawn in advance and used over and over."""

    def __init__(self, seed: int, count: int, games: int | None = None) -> None:
        shape = (DRAWN, games) if games else (DRAWN * 64,)
        self._drawn = np.random.default_rng(seed).integers(count, size=shape)
        self._at = -1

    def next(self) -> Any:
        self._at = (self._at + 1) % len(self._drawn)
        return self._drawn[self._at]


class Pictures:
    """The last pictures in grey, uint8[4, 84, 84], made the fastest way that OpenCV offers."""

    def __init__(self, first: Any) -> None:
        self._cv2 = import_module("cv2")
        self._cv2.setNumThreads(1)
        self.stack = np.empty((STACK, SIZE, SIZE), np.uint8)
        self.begin(first)

    def begin(self, picture: Any) -> None:
        self.stack[:] = self._prepare(picture)

    def add(self, picture: Any) -> None:
        self.stack[:-1] = self.stack[1:]
        self.stack[-1] = self._prepare(picture)

    def _prepare(self, picture: Any) -> Any:
        cv2 = self._cv2
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        return cv2.resize(grey, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def play(contestant: Play, seconds: float) -> dict[str, float]:
    """Play for `seconds`; return agent steps, episodes, seconds, and CPU seconds of all threads."""
    steps = episodes = 0
    cpu, start = time.process_time(), time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        episodes += contestant.step()
        steps += contestant.games
    return {
        "steps": steps,
        "episodes": episodes,
        "seconds": elapsed,
        "cpu_seconds": time.process_time() - cpu,
    }


LOOPS: dict[str, Callable[[Settings], Play]] = {
    function.__name__: function
    for function in (
        warpzone_frames,
        warpzone_frames_interpreted,
        warpzone_pixels,
        warpzone_tiles,
        warpzone_tiles_received,
        stable_retro,
        stable_retro_bare,
        stable_retro_frames,
        gym_super_mario_bros,
        ale,
        envpool,
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("--rom", type=Path, required=True)
    parser.add_argument("--games", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warmup", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--parts", type=int, default=1, help="of the time, measured apart")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="warpzone-benchmark-") as folder:
        settings = Settings(given.rom, given.games, given.threads, given.seed, Path(folder))
        contestant = LOOPS[given.loop](settings)
        play(contestant, given.warmup)
        parts = [play(contestant, given.seconds / given.parts) for _ in range(given.parts)]
        result: dict[str, Any] = {name: sum(part[name] for part in parts) for name in parts[0]}
        result["rates"] = [part["steps"] / part["seconds"] for part in parts]
        result["versions"] = {name: metadata.version(name) for name in contestant.packages}
        result["rom_sha1"] = _sha1(contestant.rom) if contestant.rom else None
    print(json.dumps(result), flush=True)


def _sha1(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    main()
