"""Stable-Baselines3's `VecEnv` of native games, against `DummyVecEnv` over single environments."""

from __future__ import annotations

import csv
import json
import sys
import warnings
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

import warpzone
from warpzone.errors import ConfigError, FileError, MissingPackageError, WarpzoneError
from warpzone.games.catch import GAME, cartridge
from warpzone.nes import make as make_game
from warpzone.nes import make_vec as make_games
from warpzone.ppo.policy import shapes_of
from warpzone.smb.config import Observation
from warpzone.training.networks import Dense

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO
from stable_baselines3.common import preprocessing
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

from warpzone.compat.sb3 import GamesVecEnv, TilesExtractor, make_vec_env

GAMES = 3
SETTINGS: dict[str, Any] = {"noop_max": 30, "no_progress_steps": 12}


def make_dummy(make: Any = None, **settings: Any) -> Any:
    """The slow way to the same."""
    made = make or (lambda: warpzone.make("1-1", **{**SETTINGS, **settings}))
    return DummyVecEnv([lambda: Monitor(made())] * GAMES)


def make_ours(**settings: Any) -> GamesVecEnv:
    return make_vec_env("1-1", GAMES, **{"threads": 2, **SETTINGS, **settings})


def assert_same(ours: Any, theirs: Any) -> None:
    """The same values of the same types, in dicts, lists and arrays."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for name in theirs:
            assert_same(ours[name], theirs[name])
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    else:
        assert (type(ours), ours) == (type(theirs), theirs)


def without_clocks(infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of `t`, which is seconds."""
    for info in infos:
        if "episode" in info:
            assert info["episode"].pop("t") >= 0
    return infos


def play(ours: Any, theirs: Any, steps: int, actions: int = 7) -> int:
    """Steps both with the same actions; returns how many episodes ended."""
    rng, ends = np.random.default_rng(1), 0
    for _ in range(steps):
        chosen = rng.choice(actions, GAMES)
        obs, rewards, dones, infos = ours.step(chosen)
        also, their_rewards, their_dones, their_infos = theirs.step(chosen)
        assert_same(obs, dict(also) if isinstance(also, dict) else also)
        assert_same(rewards, their_rewards)
        assert_same(dones, their_dones)
        assert_same(without_clocks(infos), without_clocks(their_infos))
        assert_same(ours.reset_infos, theirs.reset_infos)
        ends += int(np.count_nonzero(dones))
    return ends


@pytest.mark.parametrize("observation", get_args(Observation))
def test_steps_are_those_of_single_environments(observation: Observation) -> None:
    ours, theirs = make_ours(observation=observation), make_dummy(observation=observation)
    for envs in (ours, theirs):
        envs.seed(7)
    assert_same(ours.reset(), theirs.reset())
    assert_same(ours.reset_infos, theirs.reset_infos)
    assert play(ours, theirs, 150) >= 2
    # And again without a seed, in the midst of episodes: each goes on with its own stream.
    assert_same(ours.reset(), theirs.reset())
    assert play(ours, theirs, 100) >= 1
    ours.close()


def test_deaths_and_limits_are_told_apart() -> None:
    envs = make_ours(max_steps=20, no_progress_steps=None)
    envs.seed(0)
    envs.reset()
    told = [info for _ in range(20) for info in envs.step([0] * GAMES)[3]]
    assert [info["TimeLimit.truncated"] for info in told] == [False] * 19 * GAMES + [True] * GAMES
    envs = make_ours()
    envs.seed(0)
    envs.reset()
    ends = [i for _ in range(60) for i in envs.step([3] * GAMES)[3] if "episode" in i]
    assert ends
    assert all(info["death"] == 1 and not info["TimeLimit.truncated"] for info in ends)


def test_seeds_and_options_are_used_once() -> None:
    ours, theirs = make_ours(), make_dummy()
    for envs in (ours, theirs):
        assert envs.seed(5) == [5, 6, 7]
        envs.set_options([{"level": "1-2"}, {}, {"level": "4-4"}])
    assert_same(ours.reset(), theirs.reset())
    assert [info["level"] for info in ours.reset_infos] == [1, 0, 15]
    assert_same(ours.reset(), theirs.reset())
    assert [info["level"] for info in ours.reset_infos] == [0, 0, 0]
    ours.set_options({"reset_mask": [True]})
    with pytest.raises(ConfigError, match="reset_mask"):
        ours.reset()


def test_a_seed_that_is_given_at_once_is_the_first_resets() -> None:
    first = make_vec_env("1-1", GAMES, seed=3, **SETTINGS)
    theirs = make_dummy()
    theirs.seed(3)
    assert_same(first.reset(), theirs.reset())


def test_games_of_a_description(tmp_path: Path) -> None:
    cartridge(tmp_path / "catch.nes")
    ours = GamesVecEnv(make_games(tmp_path / "catch.nes", GAME, num_envs=GAMES, noop_max=9))
    theirs = make_dummy(lambda: make_game(tmp_path / "catch.nes", GAME, noop_max=9))
    for envs in (ours, theirs):
        envs.seed(2)
    assert_same(ours.reset(), theirs.reset())
    assert play(ours, theirs, 200, actions=3) >= 2


def test_another_autoreset_is_refused() -> None:
    with pytest.raises(ConfigError, match="next_step"):
        GamesVecEnv(warpzone.make_vec("1-1", 2, autoreset="next_step"))


# --- attributes and methods of games --------------------------------------------------------------


def test_attributes_and_methods_are_those_of_each_game() -> None:
    envs = make_ours(observation="ram")
    envs.seed(0)
    obs = envs.reset()
    assert envs.get_attr("action_meanings", 1) == [warpzone.make().action_meanings]
    assert_same(envs.env_method("ram"), [*np.asarray(obs)])
    assert_same(envs.env_method("ram", indices=[2, 0]), [np.asarray(obs)[i] for i in (2, 0)])
    (state,) = envs.env_method("save_state", indices=1)
    envs.step([3] * GAMES)
    envs.env_method("load_state", state, indices=1)
    assert_same(envs.env_method("ram", indices=1), [np.asarray(obs)[1]])

    assert not envs.has_attr("difficulty")
    envs.set_attr("difficulty", 3, indices=[0, 2])
    assert envs.get_attr("difficulty", [0, 2]) == [3, 3]
    with pytest.raises(AttributeError, match="difficulty"):
        envs.get_attr("difficulty", 1)
    with pytest.raises(WarpzoneError, match="no attribute 'nothing'"):
        envs.env_method("nothing")
    with pytest.raises(ConfigError, match=r"'difficulty' of a game is no method.*: 3"):
        envs.env_method("difficulty", indices=0)
    with pytest.raises(ConfigError, match="render_mode"):
        envs.set_attr("render_mode", "human")
    with pytest.raises(ConfigError, match="no game 3"):
        envs.get_attr("config", 3)
    with pytest.raises(ConfigError, match=r"number of a game is 1\.5"):
        envs.get_attr("config", 1.5)  # type: ignore[arg-type]  # wrong on purpose
    assert len(envs.get_attr("config", np.int64(2))) == 1
    assert envs.env_is_wrapped(Monitor) == [True] * GAMES
    assert envs.env_is_wrapped(VecMonitor, 0) == [False]


def test_wrappers_of_stable_baselines3_fit() -> None:
    envs = VecNormalize(VecFrameStack(make_ours(observation="ram"), 2), norm_obs=False)
    envs.seed(0)
    assert envs.reset().shape == (GAMES, 4096)
    for _ in range(60):
        _, _, dones, infos = envs.step([3] * GAMES)
        for game in np.flatnonzero(dones):
            assert infos[game]["terminal_observation"].shape == (4096,)
            return
    raise AssertionError("no episode ended")


def test_pictures_have_the_order_that_is_expected() -> None:
    pixels = make_ours(observation="pixels")
    assert preprocessing.is_image_space_channels_first(pixels.observation_space)
    small = {"features_extractor_kwargs": {"features_dim": 8}}
    assert not isinstance(PPO("CnnPolicy", pixels, policy_kwargs=small).env, VecTransposeImage)
    rgb = PPO("CnnPolicy", make_ours(observation="rgb"), policy_kwargs=small).env
    assert isinstance(rgb, VecTransposeImage)  # as it does with any picture of that order
    assert rgb.reset().shape == (GAMES, 3, 240, 256)


def test_pictures_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    envs = make_ours(render_mode="rgb_array")
    envs.seed(0)
    envs.reset()
    single = warpzone.make("1-1", render_mode="rgb_array", **SETTINGS)
    single.reset(seed=1)
    images = envs.get_images()
    np.testing.assert_array_equal(images[1], single.render())
    shown = envs.render()
    assert shown is not None
    assert shown.shape == (2 * 240, 2 * 256, 3)
    np.testing.assert_array_equal(shown[:240, 256:], images[1])
    assert envs.metadata["render_fps"] == 15
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackageError, match="opencv-python"):
        envs.render("human")
    assert make_ours().get_images() == [None] * GAMES


# --- statistics -----------------------------------------------------------------------------------


def test_episodes_are_written_down(tmp_path: Path) -> None:
    envs = make_ours(monitor_dir=tmp_path / "new", info_keywords=["progress", "flag"])
    envs.seed(0)
    envs.reset()
    told = [i["episode"] for _ in range(80) for i in envs.step([3] * GAMES)[3] if "episode" in i]
    envs.close()
    first, *lines = (tmp_path / "new" / "monitor.csv").read_text().splitlines()
    assert json.loads(first[1:])["t_start"] > 0
    rows = list(csv.DictReader(lines))
    assert [{name: str(value) for name, value in one.items()} for one in told] == rows != []
    assert all(int(row["progress"]) > 0 for row in rows)
    with pytest.raises(ConfigError, match="speed"):
        make_ours(info_keywords=["speed"]).reset()
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot be written"):
        make_ours(monitor_dir=tmp_path / "file")


def test_policies_are_evaluated_without_a_warning() -> None:
    envs = make_ours()
    model = PPO("MultiInputPolicy", envs, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rewards, lengths = evaluate_policy(
            model, make_ours(), n_eval_episodes=5, return_episode_rewards=True
        )
    assert len(rewards) == len(lengths) == 5


# --- the network for tiles ------------------------------------------------------------------------


def test_tiles_are_read_as_in_trainings_of_our_own() -> None:
    envs = make_ours()
    envs.seed(0)
    obs = envs.reset()
    obs, *_ = envs.step([3] * GAMES)
    assert isinstance(obs, dict)
    extractor = TilesExtractor(envs.observation_space, 32)
    own = Dense(shapes_of(envs.observation_space), (32,), piecewise_linear=False)
    with torch.no_grad():
        own.weight.copy_(extractor.first.weight.T)
        own.bias.copy_(extractor.first.bias)
        seen = {name: torch.from_numpy(array) for name, array in obs.items()}
        torch.testing.assert_close(
            extractor(preprocessing.preprocess_obs(seen, envs.observation_space)), own(seen)
        )
    with pytest.raises(ConfigError, match="CnnPolicy"):
        TilesExtractor(make_ours(observation="pixels").observation_space)


# --- algorithms -----------------------------------------------------------------------------------

ON_POLICY: dict[str, Any] = {"n_steps": 8, "batch_size": 24, "n_epochs": 1}
OFF_POLICY: dict[str, Any] = {"buffer_size": 256, "learning_starts": 24, "batch_size": 16}
SMALL: dict[str, Any] = {
    "PPO": ON_POLICY,
    "MaskablePPO": ON_POLICY,
    "RecurrentPPO": {**ON_POLICY, "policy_kwargs": {"lstm_hidden_size": 16}},
    "DQN": {**OFF_POLICY, "exploration_fraction": 1.0},
    "QRDQN": {**OFF_POLICY, "exploration_fraction": 1.0},
}
STEPS = 32


def algorithm(name: str) -> Any:
    if name in ("PPO", "DQN"):
        return getattr(pytest.importorskip("stable_baselines3"), name)
    return getattr(pytest.importorskip("sb3_contrib"), name)


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
@pytest.mark.parametrize("name", SMALL)
def test_an_algorithm_learns(name: str, observation: str) -> None:
    """Its weights move, and what it is given is what a plain vector environment gives for the same
    actions, and single environments as last observations."""
    kind = "MultiInput" if observation == "tiles" else "Cnn"
    lstm = "Lstm" if name == "RecurrentPPO" else ""
    made = algorithm(name)
    settings: dict[str, Any] = {**SETTINGS, "max_steps": 8, "observation": observation}
    envs = make_vec_env("1-1", GAMES, **settings)
    model = made(f"{kind}{lstm}Policy", envs, seed=4, device="cpu", **SMALL[name])
    before = {key: tensor.clone() for key, tensor in model.policy.state_dict().items()}
    seen: list[dict[str, Any]] = []

    def note(local: dict[str, Any], _: Any) -> bool:
        names = ("actions", "rewards", "dones", "infos")
        seen.append({name: np.array(local[name]) for name in names})
        return True

    model.learn(GAMES * STEPS, callback=note)
    assert len(seen) >= STEPS

    after = model.policy.state_dict()
    assert all(tensor.isfinite().all() for tensor in after.values())
    moved = {key for key in after if not torch.equal(after[key], before[key])}
    assert any(key.endswith("weight") for key in moved)
    if "PPO" in name:
        assert moved >= {key for key in after if key.endswith("weight") and "critic" not in key}

    plain = warpzone.make_vec("1-1", GAMES, **settings)
    plain.reset(seed=[4, 5, 6])
    singles = [warpzone.make("1-1", **settings) for _ in range(GAMES)]
    for game, single in enumerate(singles):
        single.reset(seed=4 + game)
    returns, episodes = np.zeros(GAMES), []
    for step in seen:
        _, rewards, terminated, truncated, _ = plain.step(step["actions"])
        np.testing.assert_array_equal(step["rewards"], rewards)
        np.testing.assert_array_equal(step["dones"], terminated | truncated)
        returns += rewards
        for game, single in enumerate(singles):
            last, *_ = single.step(int(step["actions"][game]))
            if step["dones"][game]:
                info = step["infos"][game]
                assert_same(info["terminal_observation"], last)
                assert info["episode"]["r"] == pytest.approx(returns[game])
                assert info["TimeLimit.truncated"] == (not terminated[game])
                episodes.append(info["episode"])
                returns[game] = 0.0
                single.reset()
    assert len(episodes) >= GAMES * 3
    # Those of which Stable-Baselines3 makes its ep_rew_mean.
    assert [*model.ep_info_buffer] == episodes


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
def test_masks_bar_actions(observation: str) -> None:
    made = algorithm("MaskablePPO")
    asked: list[int] = []

    def on_the_ground(signals: dict[str, Any]) -> Any:
        """Jumping is only for whoever is low: actions with A are barred above y 79."""
        asked.append(len(signals["y"]))
        jumps = np.array(["A" in name.split(" + ") for name in meanings])
        return ~(jumps & (signals["y"] > 79)[:, None])

    meanings = warpzone.make("1-1").action_meanings
    settings = {**SETTINGS, "observation": observation}
    envs = make_vec_env("1-1", GAMES, action_masks=on_the_ground, **settings)
    kind = "MultiInputPolicy" if observation == "tiles" else "CnnPolicy"
    model = made(kind, envs, seed=0, device="cpu", **SMALL["MaskablePPO"])
    chosen: list[tuple[bool, bool]] = []
    high = np.zeros(GAMES, bool)

    def note(local: dict[str, Any], _: Any) -> bool:
        nonlocal high
        for action, was_high in zip(local["actions"], high, strict=True):
            chosen.append(("A" in meanings[action].split(" + "), bool(was_high)))
        ends = local["dones"]
        now = [
            r if e else i for i, r, e in zip(local["infos"], envs.reset_infos, ends, strict=True)
        ]
        high = np.array([info["y"] > 79 for info in now])
        return True

    model.learn(GAMES * STEPS, callback=note)
    assert asked == [GAMES] * len(asked) != []
    assert (True, True) not in chosen
    assert {(True, False), (False, True)} <= set(chosen)
    np.testing.assert_array_equal(np.stack(envs.env_method("action_masks"))[:, 0], [True] * GAMES)
    free = make_ours()
    assert free.env_method("action_masks", indices=0)[0].tolist() == [True] * 7
    wrong = make_ours(action_masks=lambda signals: signals["y"] > 0)
    with pytest.raises(ConfigError, match="action_masks"):
        wrong.reset()
