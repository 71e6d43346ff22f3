"""Every wrapper of Gymnasium, over one game and over many, of levels and of a described game.

Which wrappers there are is asked of Gymnasium: one that is in neither list fails here.
"""

from __future__ import annotations

import functools
import importlib
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import warpzone
from warpzone.games.catch import GAME, cartridge
from warpzone.nes import make as make_described
from warpzone.nes import make_vec as make_many_described
from warpzone.nes.env_fields import Autoreset

single: Any = gymnasium.wrappers
vector: Any = gymnasium.wrappers.vector
STEPS = 16
LIMIT = 6
FACES = ("levels", "described")
MODES: tuple[Autoreset, ...] = ("same_step", "next_step")


@dataclass(frozen=True)
class Fit:
    """How a wrapper is put around an environment."""

    wrap: Callable[[Any, Path], Any]
    observation: str = "pixels"
    needs: str | None = None
    """A package that it asks for."""
    plays: str = "same"
    """Whether games go as they do without it: "same", "rewards" (theirs are others), "else"."""
    warns: bool = False
    """Whether it says something of its own."""


def fit(name: str, *args: Any, **settings: Any) -> Fit:
    """Of a wrapper that takes these arguments."""
    how = {key: settings.pop(key) for key in ("observation", "needs", "plays") if key in settings}
    return Fit(lambda env, folder: getattr(single, name)(env, *args, **settings), **how)


def many(name: str, *args: Any, **settings: Any) -> Fit:
    how = {key: settings.pop(key) for key in ("observation", "needs", "plays") if key in settings}
    return Fit(lambda envs, folder: getattr(vector, name)(envs, *args, **settings), **how)


def bright(obs: Any) -> Any:
    return 255 - obs


def mirrored(action: Any) -> Any:
    return 2 - action


def torch_arrays(env: Any, wrappers: Any) -> Any:
    import torch

    return wrappers.ArrayConversion(env, env_xp=np, target_xp=torch)


def a_dict(env: Any) -> Any:
    """The observation beside the time, in a dict."""
    return single.TimeAwareObservation(single.TimeLimit(env, 100), flatten=False)


def rescaled(env: Any, wrappers: Any) -> Any:
    """Of numbers that can be negative."""
    floats = wrappers.DtypeObservation(env, np.float32)
    return wrappers.RescaleObservation(floats, np.float32(-1), np.float32(1))


PIXELS = (4, 84, 84)
SINGLE: dict[str, Fit] = {
    "AddRenderObservation": fit("AddRenderObservation", render_only=False),
    "AddWhiteNoise": fit("AddWhiteNoise", 0.1),
    "ArrayConversion": Fit(lambda env, folder: torch_arrays(env, single), needs="array_api_compat"),
    "Autoreset": fit("Autoreset", plays="else"),
    "ClipReward": fit("ClipReward", -0.1, 0.1, plays="rewards"),
    "DelayObservation": fit("DelayObservation", 2),
    "DiscretizeObservation": fit("DiscretizeObservation", 4, multidiscrete=True, observation="ram"),
    "DtypeObservation": fit("DtypeObservation", np.float32),
    "FilterObservation": Fit(lambda env, folder: single.FilterObservation(a_dict(env), ["obs"])),
    "FlattenObservation": fit("FlattenObservation"),
    "FrameStackObservation": fit("FrameStackObservation", 3),
    "GrayscaleObservation": fit("GrayscaleObservation", observation="rgb"),
    "HumanRendering": fit("HumanRendering", needs="pygame"),
    "MaxAndSkipObservation": fit("MaxAndSkipObservation", 2, plays="else"),
    "NormalizeObservation": fit("NormalizeObservation"),
    "NormalizeReward": fit("NormalizeReward", plays="rewards"),
    "NumpyToTorch": fit("NumpyToTorch", needs="array_api_compat"),
    "ObstructView": fit("ObstructView", 0.2, 8),
    "OrderEnforcing": fit("OrderEnforcing"),
    "PassiveEnvChecker": fit("PassiveEnvChecker"),
    "RecordEpisodeStatistics": fit("RecordEpisodeStatistics"),
    "RecordVideo": Fit(
        lambda env, folder: single.RecordVideo(env, str(folder), episode_trigger=bool),
        needs="moviepy",
        warns=True,
    ),
    "RenderCollection": fit("RenderCollection"),
    "RepeatAction": fit("RepeatAction", 2, plays="else"),
    "RescaleObservation": Fit(lambda env, folder: rescaled(env, single)),
    "ReshapeObservation": fit("ReshapeObservation", (2, 2, 84, 84)),
    "ResizeObservation": fit("ResizeObservation", (60, 64), observation="rgb", needs="cv2"),
    "StickyAction": fit("StickyAction", 0.5, plays="else"),
    "TimeAwareObservation": Fit(
        lambda env, folder: single.TimeAwareObservation(single.TimeLimit(env, 100)),
        observation="ram",
    ),
    "TimeLimit": fit("TimeLimit", LIMIT),
    "TransformAction": fit("TransformAction", mirrored, None, plays="else"),
    "TransformObservation": fit("TransformObservation", bright, None),
    "TransformReward": fit("TransformReward", float, plays="same"),
}
NOT_SINGLE = {
    "AtariPreprocessing": "reads the Atari emulator itself; `pixels` is what it makes",
    "ClipAction": "is for continuous actions",
    "DiscretizeAction": "is for continuous actions",
    "JaxToNumpy": "is for environments that compute in JAX",
    "JaxToTorch": "is for environments that compute in JAX",
    "RescaleAction": "is for continuous actions",
}
VECTOR: dict[str, Fit] = {
    "ArrayConversion": Fit(
        lambda envs, folder: torch_arrays(envs, vector), needs="array_api_compat"
    ),
    "ClipReward": many("ClipReward", -0.1, 0.1, plays="rewards"),
    "DictInfoToList": many("DictInfoToList"),
    "DtypeObservation": many("DtypeObservation", np.float32),
    "FilterObservation": many("FilterObservation", ["tiles"], observation="tiles"),
    "FlattenObservation": many("FlattenObservation"),
    "GrayscaleObservation": many("GrayscaleObservation", observation="rgb"),
    "HumanRendering": many("HumanRendering", needs="cv2"),
    "NormalizeObservation": many("NormalizeObservation"),
    "NormalizeReward": many("NormalizeReward", plays="rewards"),
    "NumpyToTorch": many("NumpyToTorch", needs="array_api_compat"),
    "RecordEpisodeStatistics": many("RecordEpisodeStatistics"),
    "RecordVideo": Fit(
        lambda envs, folder: vector.RecordVideo(envs, str(folder), episode_trigger=bool),
        needs="moviepy",
        warns=True,
    ),
    "RescaleObservation": Fit(lambda envs, folder: rescaled(envs, vector)),
    "ReshapeObservation": many("ReshapeObservation", (2, 2, 84, 84)),
    "ResizeObservation": many("ResizeObservation", (60, 64), observation="rgb", needs="cv2"),
    "TransformAction": many("TransformAction", mirrored, plays="else"),
    "TransformObservation": many("TransformObservation", bright),
    "TransformReward": many("TransformReward", np.copy),
    "VectorizeTransformAction": many(
        "VectorizeTransformAction", single.TransformAction,
        func=mirrored, action_space=None, plays="else",
    ),
    "VectorizeTransformObservation": many(
        "VectorizeTransformObservation", single.TransformObservation,
        func=bright, observation_space=None,
    ),
    "VectorizeTransformReward": many(
        "VectorizeTransformReward", single.TransformReward, func=float
    ),
}  # fmt: skip
NOT_VECTOR = {
    "ClipAction": "is for continuous actions",
    "JaxToNumpy": "is for environments that compute in JAX",
    "JaxToTorch": "is for environments that compute in JAX",
    "RescaleAction": "is for continuous actions",
}
NOT_SAME_STEP = {
    "DtypeObservation", "FilterObservation", "FlattenObservation", "GrayscaleObservation",
    "NormalizeObservation", "RescaleObservation", "ReshapeObservation", "ResizeObservation",
    "TransformObservation", "VectorizeTransformObservation",
}  # fmt: skip
"""What Gymnasium does not put around games that begin anew in the step that ends them, whosoever
they are."""
CONVERTERS = ("ArrayConversion", "NumpyToTorch")
OLD = tuple(map(int, gymnasium.__version__.split(".")[:2])) < (1, 3)
ALL_SINGLE = sorted(set(single.__all__) - {"vector"})
ALL_VECTOR = sorted(vector.__all__)


@pytest.fixture(scope="module")
def catch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catch") / "catch.nes"
    cartridge(path)
    return path


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")


def test_each_wrapper_of_gymnasium_is_tried_or_does_not_apply() -> None:
    assert not set(SINGLE) & set(NOT_SINGLE)
    assert not set(VECTOR) & set(NOT_VECTOR)
    assert set(ALL_SINGLE) <= set(SINGLE) | set(NOT_SINGLE), "a new wrapper: try it, or say why not"
    assert set(ALL_VECTOR) <= set(VECTOR) | set(NOT_VECTOR), "a new wrapper: try it, or say why not"


@pytest.mark.parametrize("name", [n for n in NOT_SINGLE if n in ALL_SINGLE])
def test_wrappers_that_do_not_apply_say_so(name: str) -> None:
    """Or what is not tried here would fit."""
    arguments = {"RescaleAction": (-1, 1), "DiscretizeAction": (3,)}.get(name, ())
    kinds = (AssertionError, AttributeError, ImportError, TypeError, ValueError)

    def used() -> None:
        getattr(single, name)(warpzone.make(observation="ram"), *arguments).reset()

    with pytest.raises((*kinds, gymnasium.error.Error)):
        used()


def holds(space: Any, value: Any) -> bool:
    """Whether a space holds a value, which may be PyTorch's."""
    if type(value).__module__ == "torch":
        value = value.numpy()
    if isinstance(value, dict):
        value = {key: v.numpy() if hasattr(v, "numpy") else v for key, v in value.items()}
    return bool(space.contains(value))


@pytest.fixture
def quiet() -> Iterator[Callable[[Fit], None]]:
    """Makes errors of warnings, unless a wrapper is one that warns."""
    with warnings.catch_warnings():

        def begin(fits: Fit) -> None:
            if not fits.warns:
                warnings.simplefilter("error")
            warnings.filterwarnings("ignore", category=DeprecationWarning)

        yield begin


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", [name for name in ALL_SINGLE if name in SINGLE])
def test_around_one_game(
    name: str, face: str, catch: Path, tmp_path: Path, quiet: Callable[[Fit], None]
) -> None:
    """Games go on as they do without it, and what is seen is what it promises."""
    fits = SINGLE[name]
    if fits.needs is not None:
        pytest.importorskip(fits.needs)
    quiet(fits)
    settings: dict[str, Any] = {"observation": fits.observation, "max_steps": LIMIT, "noop_max": 5}

    def made(**more: Any) -> Any:
        if face == "levels":
            return warpzone.make("1-1", actions=[[], ["right"], ["right", "A"]], **settings, **more)
        return make_described(catch, GAME, **settings, **more)

    bare = made()
    env = fits.wrap(made(render_mode="rgb_array"), tmp_path)
    assert holds(env.observation_space, env.reset(seed=3)[0])
    bare.reset(seed=3)
    env.action_space.seed(1)
    ends = 0
    for _ in range(STEPS):
        action = env.action_space.sample()
        given = action
        if name in CONVERTERS:
            given = importlib.import_module("torch").tensor(action)
        obs, reward, terminated, truncated, _ = env.step(given)
        assert holds(env.observation_space, obs)
        assert isinstance(terminated, bool)
        assert np.isfinite(float(reward))
        expected = bare.step(action) if fits.plays != "else" else None
        if expected is not None:
            assert np.array_equal(env.unwrapped.ram(), bare.ram())
            assert (terminated, truncated) == expected[2:4]
        if expected is not None and fits.plays == "same":
            assert float(reward) == pytest.approx(expected[1])
        if terminated or truncated:
            ends += 1
            if name != "Autoreset":
                env.reset()
            if expected is not None:
                bare.reset()
    assert ends >= 2
    env.close()
    if name == "RecordVideo":
        assert list(tmp_path.glob("*.mp4"))


@pytest.mark.parametrize("autoreset", MODES)
@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", [name for name in ALL_VECTOR if name in VECTOR])
def test_around_many_games(
    name: str,
    face: str,
    autoreset: Autoreset,
    catch: Path,
    tmp_path: Path,
    quiet: Callable[[Fit], None],
) -> None:
    """Games go on as they do without it, what is seen is what it promises, and where episodes end
    the last observation is handed on."""
    fits = VECTOR[name]
    if fits.needs is not None:
        pytest.importorskip(fits.needs)
    if fits.observation == "tiles" and face == "described":
        pytest.skip("observations of described games are no dicts")
    quiet(fits)
    settings: dict[str, Any] = {
        "observation": fits.observation, "max_steps": LIMIT, "noop_max": 5, "autoreset": autoreset,
        "seed": 3, "threads": 1,
    }  # fmt: skip

    def made(**more: Any) -> Any:
        if face == "levels":
            actions = [[], ["right"], ["right", "A"]]
            return warpzone.make_vec("1-1", 2, actions=actions, **settings, **more)
        return make_many_described(catch, GAME, 2, **settings, **more)

    if autoreset == "same_step" and name in NOT_SAME_STEP:
        with pytest.raises((AssertionError, ValueError)):
            fits.wrap(made(), tmp_path)
        return
    if autoreset == "same_step" and name in CONVERTERS:
        pytest.skip("converters of Gymnasium do not know the arrays that its final_obs are")
    bare = made()
    envs = fits.wrap(made(render_mode="rgb_array"), tmp_path)
    # Older ones say that normalised observations are bytes.
    misnamed = OLD and name == "NormalizeObservation"
    assert holds(envs.observation_space, envs.reset()[0]) or misnamed
    bare.reset()
    rng = np.random.default_rng(1)
    ends = 0
    for _ in range(STEPS):
        actions = rng.integers(3, size=2)
        given: Any = actions
        if name in CONVERTERS:
            given = importlib.import_module("torch").from_numpy(actions)
        obs, rewards, terminated, truncated, infos = envs.step(given)
        assert holds(envs.observation_space, obs) or misnamed
        assert tuple(rewards.shape) == tuple(terminated.shape) == tuple(truncated.shape) == (2,)
        expected: Any = bare.step(actions) if fits.plays != "else" else None
        if expected is not None:
            for game in range(2):
                assert np.array_equal(envs.unwrapped.ram(game), bare.ram(game))
            assert np.asarray(terminated).tolist() == expected[2].tolist()
            assert np.asarray(truncated).tolist() == expected[3].tolist()
        if expected is not None and fits.plays == "same":
            assert np.allclose(np.asarray(rewards), expected[1])
        over = np.asarray(terminated) | np.asarray(truncated)
        ends += int(over.sum())
        if autoreset == "same_step" and over.any():
            for game in np.flatnonzero(over).tolist():
                last = (infos[game] if isinstance(infos, list) else infos)["final_obs"]
                last = last if isinstance(infos, list) else last[game]
                assert holds(envs.single_observation_space, last)
    assert ends == 2 * (STEPS // (LIMIT if autoreset == "same_step" else LIMIT + 1))
    envs.close()


@pytest.mark.parametrize("name", [name for name in CONVERTERS if name in ALL_VECTOR])
def test_converters_know_no_final_observations_of_any_games(name: str) -> None:
    """Which is why ours are not tried with them where games begin anew in the same step."""
    pytest.importorskip("array_api_compat")
    mode = gymnasium.vector.AutoresetMode.SAME_STEP
    make = functools.partial(gymnasium.make, "CartPole-v1", max_episode_steps=1)
    envs = VECTOR[name].wrap(gymnasium.vector.SyncVectorEnv([make], autoreset_mode=mode), Path())
    envs.reset(seed=0)
    with pytest.raises((BufferError, TypeError)):
        envs.step(importlib.import_module("torch").zeros(1, dtype=int))


def test_the_oldest_gymnasium_that_is_tried_is_the_oldest_that_is_asked_for() -> None:
    root = Path(__file__).parents[2]
    asked = re.search(r'"gymnasium>=([\d.]+)"', (root / "pyproject.toml").read_text())
    tried = re.search(r"\|\| set -- ([\d.]+)\b", (root / "scripts/try_gymnasiums.sh").read_text())
    assert asked is not None
    assert tried is not None
    assert tried[1] == f"{asked[1]}.0"
