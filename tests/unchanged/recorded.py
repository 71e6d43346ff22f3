"""What must stay the same while the code is put into another order, and how it is recorded.

Each group has a file of its own in `data/`. After a change that is meant to change some of it:

    python -m scripts.record_unchanged starts           # that group anew; no name: list the groups

A group is as small as a change that may be meant: nothing but `starts`, `training_starts` and
`evaluation_starts` depends on how an episode's no-ops, level or sticky buttons are drawn.

Floating-point kernels differ between processors. What depends on them is recorded exactly for the
machines that it was recorded on, by `machine()`, and within a tolerance for all others.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import random
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tests.unchanged.commands import commands

import warpzone

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
PLAY = ROOT / "tests" / "data"

WEIGHTS_DIFFER = 0.25
"""How far a sum over weights, as `about` has it, may be from the recorded one on other processors,
in learning rates: Adam moves a weight by about one in a step. With SSE in place of AVX-512 it was
0.07 with `tiles`, 0.02 or less else; γ or λ less by 0.01 make it 2.7 or more with each preset."""
CLEARED_DIFFER = 2
"""How many more or fewer episodes may be cleared on another processor."""


def digest(*parts: NDArray[Any] | bytes) -> str:
    """Returns 16 hexadecimal digits over bytes and arrays, with their types and shapes."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            found.update(part)
        else:
            found.update(f"{part.dtype.str}{part.shape}".encode())
            found.update(np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:16]


def machine() -> str:
    """Returns what decides the bits of a floating-point result on this machine."""
    model = platform.processor()
    if sys.platform == "linux":
        facts = dict(
            line.split(":", 1)
            for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
            if ":" in line
        )
        named = {name.strip(): value.strip() for name, value in facts.items()}
        model = " ".join(
            named.get(name, "") for name in ("vendor_id", "cpu family", "model", "model name")
        )
    version = torch.__version__.split("+")[0]
    return f"torch {version}, {torch.backends.cpu.get_cpu_capability()}, {model.strip()}"


# --- the console ---------------------------------------------------------------------------------

LETTERS = "ABsSUDLR"
"""Of the buttons, from the lowest bit: s is select, S is start."""
TITLE = 11
"""Frames from power-on to where the sequences of menus begin."""


def _moves(text: str) -> Iterator[tuple[int, int]]:
    for token in text.split():
        letters = token.rstrip("0123456789")
        buttons = sum(1 << LETTERS.index(letter) for letter in letters if letter != ".")
        yield buttons, int(token[len(letters) :])


def _sequences() -> dict[str, list[tuple[str, list[tuple[int, int]]]]]:
    """Returns by file name the starts of its sequences and the buttons held after them."""
    return {
        name: [
            (line.split(" ", 1)[0], list(_moves(line.split(" ", 1)[1])))
            for line in (PLAY / name).read_text().splitlines()
            if not line.startswith("#")
        ]
        for name in ("play.txt", "vines.txt", "menus.txt")
    }


def console(engine: str, name: str) -> dict[str, list[str]]:
    """Returns digests of RAM and pictures after every move of recorded play, one a sequence."""
    game = warpzone.Console(engine=engine)
    found: dict[str, list[str]] = {}
    # The interpreter is slower: one in four will do where there are many.
    every = 4 if (engine, name) == ("interpreter", "play.txt") else 1
    for start, moves in _sequences()[name][::every]:
        if start == "menu":
            game.reset()
            game.step(0, TITLE)
        else:
            warpzone.start_level(game, start)
        ram, picture = hashlib.sha256(), hashlib.sha256()
        for buttons, frames in moves:
            game.step(buttons, frames)
            ram.update(game.ram.tobytes())
            picture.update(game.screen().tobytes())
        digests = f"ram {ram.hexdigest()[:16]}", f"picture {picture.hexdigest()[:16]}"
        found.setdefault(start, []).extend(digests)
    return found


# --- environments --------------------------------------------------------------------------------


def _actions(count: int, games: int, steps: int) -> Iterator[NDArray[np.int64]]:
    """Yields actions for all games: drawn, held for a while, mostly to the right."""
    # Of Python's, since its `random()` is promised to give the same numbers in every version.
    draw = random.Random(11).random
    actions = np.zeros(games, np.int64)
    for _ in range(steps):
        for game in range(games):
            if draw() < 0.15:
                towards_right = draw() < 0.8
                actions[game] = (
                    int(draw() * min(5, count)) if towards_right else int(draw() * count)
                )
        yield actions.copy()


def _named(prefix: str, value: Any) -> dict[str, NDArray[Any]]:
    if isinstance(value, dict):
        return {f"{prefix}.{name}": array for name, array in value.items()}
    return {prefix: value}


def environment(steps: int, **settings: Any) -> dict[str, str]:
    """Returns a digest of everything that a vector environment gives in `steps` steps, by name."""
    parts: dict[str, Any] = {}

    def add(values: dict[str, NDArray[Any]]) -> None:
        for name, array in values.items():
            part = parts.setdefault(name, hashlib.sha256())
            if array.dtype == object:  # final observations: None where there is none
                for row in array:
                    final = _named("", row) if row is not None else {}
                    for key in sorted(final):
                        part.update(digest(final[key]).encode())
            else:
                part.update(digest(array).encode())

    def add_infos(infos: dict[str, Any], prefix: str = "info") -> None:
        for name, value in infos.items():
            if isinstance(value, dict):
                add_infos(value, f"{prefix}.{name}")
            elif not name.startswith("_"):
                add({f"{prefix}.{name}": value})

    envs = warpzone.make_vec(threads=2, **settings)
    try:
        obs, infos = envs.reset(seed=5)
        add(_named("obs", obs))
        add_infos(infos)
        count = int(envs.single_action_space.n)
        ended = np.zeros(envs.num_envs, np.bool_)
        for actions in _actions(count, envs.num_envs, steps):
            if settings.get("autoreset") == "disabled" and ended.any():
                obs, infos = envs.reset(options={"reset_mask": ended})
                add(_named("obs", obs))
            obs, reward, terminated, truncated, infos = envs.step(actions)
            ended = terminated | truncated
            add(_named("obs", obs))
            add({"reward": reward, "terminated": terminated, "truncated": truncated})
            add_infos(infos)
        add({"picture": envs.picture(0), "ram": envs.ram(0)})
    finally:
        envs.close()
    return {name: part.hexdigest()[:16] for name, part in sorted(parts.items())}


# --- training ------------------------------------------------------------------------------------

SHORT = {
    "tiles": (16, 64, 2e-3),
    "specialist": (16, 64, 2e-3),
    "generalist": (16, 128, 1e-3),
    "pixels": (16, 32, 5e-4),
    "tutorial": (4, 64, 1e-4),
}
"""By preset: games, steps of each in a rollout, which is at least one minibatch of it; and its
learning rate."""
NO_CHANCE_IN_GAMES = ("env.noop_max=0", "env.repeat_action_probability=0", "curriculum.share=0")
"""So that how starts and sticky buttons are drawn does not matter."""


def train(preset: str, *changes: str) -> dict[str, NDArray[Any]]:
    """Returns the weights after two updates with little to play, on one thread."""
    games, steps, _ = SHORT[preset]
    settings = (
        f"num_envs={games}",
        f"rollout_steps={steps}",
        "amp=false",
        "env.max_steps=60",
        "eval_episodes=1",
        "target_clear_rate=null",
        "watched_games=0",
        *changes,
    )
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        commands().run(
            *("train", "1-1", "--preset", preset, "--steps", str(2 * games * steps)),
            *("--seed", "3", "--threads", "1", "--device", "cpu", "--out", str(out)),
            *(word for setting in settings for word in ("--set", setting)),
        )
        return load_file(out / "agent.safetensors")


def about(weights: dict[str, NDArray[Any]]) -> dict[str, list[list[float]]]:
    """Returns three sums over each tensor, by shape: names may change.

    The sums are of the weights, of their squares, and of the weights with drawn signs. Each is
    divided by the square root of the number of weights: a change of that many independent weights
    by e moves it by about e.
    """
    found: dict[str, list[list[float]]] = {}
    for weight in weights.values():
        flat = weight.astype(np.float64).ravel()
        signs = np.frombuffer(random.Random(flat.size).randbytes(flat.size), np.uint8) % 2 * 2.0 - 1
        sums = (flat.sum(), (flat * flat).sum(), (flat * signs).sum())
        for values, value in zip(
            found.setdefault(str(list(weight.shape)), [[], [], []]), sums, strict=True
        ):
            values.append(float(value) / flat.size**0.5)
    return {shape: [sorted(values) for values in sums] for shape, sums in sorted(found.items())}


@dataclass(frozen=True)
class Result:
    """Holds what depends on the processor.

    Attributes:
        exact: what must be equal where `machine()` is.
        near: what must be about equal elsewhere: numbers, in dicts and lists.
        within: how far these may be from the recorded ones.
    """

    exact: Any
    near: Any
    within: float


def weights(preset: str, *changes: str) -> Result:
    """Returns the weights of `train` in short, without regard to their names."""
    found = train(preset, *changes)
    exact = digest(*sorted(digest(weight).encode() for weight in found.values()))
    return Result(exact, about(found), WEIGHTS_DIFFER * SHORT[preset][2])


# --- agents --------------------------------------------------------------------------------------


def evaluate(*arguments: str) -> Result:
    """Returns the JSON of `warpzone eval`."""
    answer = commands().run("eval", *arguments, "--json", "--threads", "1", "--device", "cpu")
    found = json.loads(answer)
    levels = found.get("levels") or {"all": found["result"]}
    cleared = {
        level: round(rates["clear_rate"] * rates["episodes"]) for level, rates in levels.items()
    }
    return Result({"cleared": cleared, "json": found}, {"cleared": cleared}, CLEARED_DIFFER)


# --- episodes ------------------------------------------------------------------------------------


def _buttons_of_a_menu() -> list[int]:
    moves = _sequences()["menus.txt"][0][1]
    return [0] * TITLE + [buttons for buttons, frames in moves for _ in range(frames)]


def _written(path: Path) -> dict[str, Any]:
    """Returns an episode's file as it is, and what is in it: another zlib packs in other bytes."""
    data = path.read_bytes()
    found = json.loads(data)
    found["buttons"] = digest(zlib.decompress(base64.b64decode(found["buttons"])))
    return {f"bytes, zlib {zlib.ZLIB_RUNTIME_VERSION}": digest(data), "content": found}


def movie_to_episode() -> dict[str, Any]:
    """Returns an episode that was imported from a movie, and the movie that is made of it again."""
    keys = "RLDUTSBA"
    bits = (128, 64, 32, 16, 8, 4, 2, 1)
    with TemporaryDirectory() as folder:
        movie, episode, again = (Path(folder) / name for name in ("a.fm2", "b.json", "c.fm2"))
        lines = [
            "|0|"
            + "".join(key if held & bit else "." for key, bit in zip(keys, bits, strict=True))
            + "|........||"
            for held in _buttons_of_a_menu()
        ]
        data = warpzone.Console().rom.data[16:]  # without the header
        checksum = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        header = ["version 3", "port0 1", "port1 1", f"romChecksum base64:{checksum}"]
        movie.write_text("\n".join([*header, *lines, ""]))
        commands().run("replay", str(movie), "-o", str(episode))
        commands().run("replay", str(episode), "--check")
        commands().run("replay", str(episode), "-o", str(again))
        written = again.read_bytes().splitlines(keepends=True)
        return {
            **_written(episode),
            "movie": digest(*(line for line in written if not line.startswith(b"emuVersion"))),
        }


def agent_to_episode() -> Result:
    """Returns an episode that an agent has played, deciding by the likeliest action."""
    with TemporaryDirectory() as folder:
        episode = Path(folder) / "a.json"
        commands().run(
            *("record", "1-1", "--policy", "argmax", "--noop-max", "0", "--until-clear", "1"),
            *("--device", "cpu", "-o", str(Path(folder) / "a.gif"), "--episode", str(episode)),
        )
        commands().run("replay", str(episode), "--check")
        found = _written(episode)
        cleared = int(found["content"]["outcome"]["cleared"])
        return Result(found, {"cleared": {"1-1": cleared}}, within=0)


# --- groups --------------------------------------------------------------------------------------

FIXED = ("--noop-max", "0")
RANDOM = ("--noop-max", "30", "--repeat-action-probability", "0.25", "--seed", "7")
CHANCE: dict[str, Any] = {
    "noop_max": 30,
    "repeat_action_probability": 0.25,
    "sticky_share": 0.5,
}
OBSERVATIONS: dict[str, dict[str, Any]] = {
    "tiles": {"observation": "tiles"},
    "tiles with level": {"observation": "tiles", "show_level": True, "actions": "down"},
    "pixels": {"observation": "pixels"},
    "pixels otherwise": {
        "observation": "pixels",
        "size": (60, 64),
        "crop_status_bar": True,
        "max_pool": True,
        "reward": "gym",
    },
    "consecutive pixels": {"observation": "pixels", "consecutive": True, "reward": "tutorial"},
    "rgb": {"observation": "rgb", "skip_cutscenes": False},
    "ram": {"observation": "ram", "actions": "complex", "frame_skip": 3},
}
STEPS = {"rgb": 60}

Item = Callable[[], Any]


def _groups() -> dict[str, dict[str, Item]]:
    groups: dict[str, dict[str, Item]] = {
        "console": {
            f"{engine}, {name}": partial(console, engine, name)
            for engine in ("compiled", "interpreter")
            for name in _sequences()
        },
        "observations": {
            f"{name}, {level}, {engine}": partial(
                environment,
                STEPS.get(name, 300),
                levels=level,
                num_envs=6,
                engine=engine,
                no_progress_steps=40,
                **settings,
            )
            for name, settings in OBSERVATIONS.items()
            for level, engine in (("1-1", "compiled"), ("2-2", "compiled"), ("8-4", "interpreter"))
        },
        "autoreset": {
            mode: partial(environment, 300, num_envs=6, autoreset=mode, no_progress_steps=20)
            for mode in ("same_step", "next_step", "disabled")
        },
        "starts": {
            engine: partial(
                environment,
                300,
                levels={"1-1": 1.0, "1-2": 2.0, "4-4": 1.0},
                num_envs=12,
                engine=engine,
                no_progress_steps=40,
                **CHANCE,
            )
            for engine in ("compiled", "interpreter")
        },
        "training": {preset: partial(weights, preset, *NO_CHANCE_IN_GAMES) for preset in SHORT},
        "training_starts": {preset: partial(weights, preset) for preset in ("tiles", "specialist")},
        "evaluation": {
            f"{level}, {policy}": partial(
                evaluate, level, "--episodes", "16", "--policy", policy, *FIXED
            )
            for level in ("1-2", "4-4", "8-1")
            for policy in ("argmax", "sample")
        },
        "evaluation_starts": {
            "1-1": partial(evaluate, "1-1", "--episodes", "16", *RANDOM),
            "all of 1-1 and 1-2": partial(
                evaluate, "1-1", "--through", "1-2", "--episodes", "8", *RANDOM
            ),
            "by level": partial(evaluate, "--levels", "5-1,8-3", "--episodes", "8", *RANDOM),
        },
        "episodes": {"of a movie": movie_to_episode, "of an agent": agent_to_episode},
    }
    return groups


GROUPS = _groups()


# --- records -------------------------------------------------------------------------------------


def load(group: str) -> dict[str, Any]:
    """Returns what is recorded of a group by item."""
    found: dict[str, Any] = json.loads((DATA / f"{group}.json").read_text())
    return found


def differences(found: Any, recorded: Any, at: str = "") -> list[str]:
    """Returns where `found` is not as recorded. What was not there yet then may be new."""
    if isinstance(found, Result):
        if machine() in recorded["exact"]:
            return differences(found.exact, recorded["exact"][machine()], at)
        return _far(found.near, recorded["near"], found.within, at)
    if isinstance(found, dict) and isinstance(recorded, dict):
        # Another zlib: the content is compared, the bytes are not.
        wanted = [name for name in recorded if name in found or not name.startswith("bytes, zlib")]
        return [
            line
            for name in wanted
            for line in (
                differences(found[name], recorded[name], f"{at}/{name}")
                if name in found
                else [f"{at}/{name} is missing"]
            )
        ]
    if found != recorded:
        return [f"{at}: {found!r}, recorded {recorded!r}"]
    return []


def _far(found: Any, recorded: Any, within: float, at: str = "") -> list[str]:
    if isinstance(found, dict):
        if found.keys() != recorded.keys():
            return [f"{at}: there are {sorted(found)}, recorded {sorted(recorded)}"]
        return [
            line
            for name, value in found.items()
            for line in _far(value, recorded[name], within, f"{at}/{name}")
        ]
    ours, theirs = np.array(found), np.array(recorded)
    if ours.shape == theirs.shape and bool((np.abs(ours - theirs) <= within).all()):
        return []
    return [f"{at}: {found!r}, recorded {recorded!r}, which is not within {within:g}"]


def record(group: str) -> None:
    """Writes a group anew. Other machines' exact results stay where they are still near."""
    path = DATA / f"{group}.json"
    known = load(group) if path.exists() else {}
    values: dict[str, Any] = {}
    for name, item in GROUPS[group].items():
        found = item()
        if isinstance(found, Result):
            exact, near = {machine(): found.exact}, found.near
            before = known.get(name)
            # Where this machine's result is another than it was, others' are wrong too, even if
            # they are near.
            if (
                before
                and before["exact"].get(machine(), found.exact) == found.exact
                and not _far(near, before["near"], found.within)
            ):
                exact, near = before["exact"] | exact, before["near"]
            values[name] = {"exact": exact, "near": near}
        else:
            values[name] = found
    DATA.mkdir(exist_ok=True)
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
