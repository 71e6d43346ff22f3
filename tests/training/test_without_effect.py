"""What somebody sets and what changes nothing is refused; what a preset or a run has is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from warpzone.errors import ConfigError
from warpzone.fleet.plan import make_plan
from warpzone.training import TrainConfig, campaign, resolve
from warpzone.training.presets import PRESETS
from warpzone.training.run_settings import resumed
from warpzone.training.without_effect import without_effect

TETRIS = {"name": "tetris", "observation": "variables"}
TEACHER = 'distillation_policies={"8-4":"8-4"}'


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        ("tiles", {"kl_target": 0.05}, r"kl_target is for the objective 'kl', and this is 'clip'"),
        ("tiles", {"distillation_coef": 3.0}, "weighs distillation_policies, and there are none"),
        ("tiles", {"network": {"embeddings": [8, 8]}}, "for the network 'patches'.* is 'tiles'"),
        ("tutorial", {"network": {"piecewise_linear": True}}, "'tiles', and this is 'tutorial'"),
        ("tiles", {"practice": {"nearest": 7}}, r"practice\.nearest needs practice\.share above 0"),
        ("tiles", {"corrections": {"margin": 0.5}}, r"needs corrections\.share above 0"),
        ("tiles", {"curriculum": {"segment": 3}}, r"needs curriculum\.share above 0: .*segment=3"),
        ("tiles", {"curriculum": {"last_share": 0.1}}, r"curriculum\.last_share needs"),
        ("tiles", {"curriculum": {"search_steps": 7}}, r"curriculum\.search_steps needs"),
        ("tiles", {"prioritize_levels": True}, "needs several levels, and only 1-1 is trained on"),
        ("tiles", {"env": {"reward": "gym"}, "last_end_penalty": 7.0}, "and this is 'gym'"),
        ("tiles", {"distillation_policies": {"8-4": "8-4"}}, "for 8-4, which is not trained on"),
        ("tiles", {"game": TETRIS, "env": {"noop_max": 7}}, r"env\.noop_max is for levels of"),
        ("tiles", {"game": TETRIS, "env": {"frame_skip": 2}}, r"'tetris'.*: .*env\.frame_skip=2"),
        ("tiles", {"game": TETRIS, "last_end_penalty": 7.0}, "last_end_penalty is for levels"),
        ("tiles", {"game": TETRIS, "progress_gamma": 0.9}, "progress_gamma is for levels of Super"),
        ("tiles", {"game": TETRIS, "curriculum": {"episode_steps": 7}}, r"curriculum\.share above"),
        ("tiles", {"game": TETRIS, "practice": {"share": 0.2}}, "practice is for levels of Super"),
    ],
)
def test_what_changes_nothing_is_refused(
    preset: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(preset, **changes)


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("tiles", {"objective": "kl", "kl_target": 0.05}),
        ("tiles", {"objective": "kl", "clip": 0.4}),  # what is counted as clipped
        ("tiles", {"distillation_policies": {"1-1": "1-1"}, "distillation_coef": 3.0}),
        ("tiles", {"distillation_policies": {"all": "generalist"}}),
        ("pixels", {"network": {"embeddings": [8, 8]}}),
        ("pixels", {"network": {"kind": "gru", "embeddings": [8, 8], "hidden": [8]}}),
        ("specialist", {"curriculum": {"segment": 3, "last_share": 0.1, "search_steps": 7}}),
        ("generalist", {"practice": {"nearest": 7}, "corrections": {"share": 1, "margin": 0.5}}),
        ("tiles", {"env": {"levels": "1-1,1-2"}, "prioritize_levels": True}),
        # Of a preset, of a default, or as they are anyway.
        ("generalist", {"env": {"levels": "1-1"}, "curriculum": {"share": 0}}),
        ("generalist", {"distillation_coef": 0.3, "prioritize_levels": True}),
        ("pixels-generalist", {"distillation_policies": {}, "distillation_coef": 1.0}),
        ("tiles", {"env": {"reward": "gym"}}),
        ("tiles", {"env": {"observation": "ram"}, "network": {"piecewise_linear": True}}),
        ("tiles", {"env": {"observation": "ram"}, "network": {"piecewise_linear": False}}),
        ("generalist", {"curriculum": {"share": 0, "segment": 16}, "practice": {"share": 0}}),
    ],
)
def test_what_has_an_effect_or_is_a_presets_own_is_not(
    preset: str, changes: dict[str, Any]
) -> None:
    resolve(preset, **changes)


@pytest.mark.parametrize("preset", PRESETS)
def test_each_setting_without_effect_is_one(preset: str) -> None:
    """A name that is none would never be found."""
    for config in (PRESETS[preset], TrainConfig(game={"name": "tetris", "observation": "ram"})):
        for name in without_effect(config):
            place: Any = config
            for part in name.split("."):
                place = getattr(place, part)


def test_a_run_goes_on_with_what_it_has_and_is_given_nothing_without_effect(tmp_path: Path) -> None:
    begun = TrainConfig(kl_target=0.05, distillation_coef=3.0)
    (tmp_path / "config.json").write_text(begun.model_dump_json())
    assert resumed(tmp_path, {"lr": 1e-4, "kl_target": 0.05}).kl_target == 0.05
    assert resumed(tmp_path, {"objective": "kl", "kl_target": 0.02}).kl_target == 0.02
    with pytest.raises(ConfigError, match="kl_target is for the objective"):
        resumed(tmp_path, {"kl_target": 0.02})


def test_a_fleet_and_a_campaign_ask_beside_the_levels_that_they_train_on(tmp_path: Path) -> None:
    many = make_plan(["1-1", "1-2"], together=True, settings=["prioritize_levels=true"])
    assert not many.trials[0].failed
    grid = make_plan(["1-1"], settings=["kl_target=0.05"], grid=["objective=clip,kl"])
    assert [bool(trial.failed) for trial in grid.trials] == [True, False]
    with pytest.raises(ConfigError, match="needs several levels"):
        make_plan(["1-1", "1-2"], settings=["prioritize_levels=true"])
    with pytest.raises(ConfigError, match="for 8-4, which is not trained on"):
        campaign.run(["1-1", "1-2"], tmp_path, hours=1, jobs=1, settings=[TEACHER])
