"""Settings of older versions are read under the names of today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from warpzone.errors import CheckpointError, ConfigError
from warpzone.settings import parse_overrides, setting_names
from warpzone.training import PRESETS, resolve
from warpzone.training.config import TrainConfig
from warpzone.training.migration import (
    CALLED_ELSEWHERE,
    LAST,
    REMOVED,
    RENAMED,
    SCHEDULES,
    migrate,
)
from warpzone.training.run_settings import read_config

OLD = {
    "passes": 7,
    "minibatch": 64,
    "eval_noops": 12,
    "eval_sticky": 0.5,
    "env": {
        "levels": {"1-1": 1.0},
        "noops": 9,
        "sticky": 0.25,
        "end_penalty": 2.5,
        "start_steps": 96,
    },
    "network": {"kind": "tiles", "hidden": [8], "hats": True},
    "curriculum": {"share": 0.5, "route": False, "stretch": 8},
    "teachers": {"1-1": "runs/1-1"},
    "teacher_coef": 0.25,
    "lr_schedule": "mastery",
    "entropy_schedule": "mastery",
    "teacher_schedule": "mastery",
    "kl_beta": 1.0,
    "target_kl": 0.03,
    "ema": 0.0,
}


def test_old_names_become_new_ones() -> None:
    config = TrainConfig.model_validate(migrate(OLD))
    assert (config.update_epochs, config.minibatch_size) == (7, 64)
    assert (config.eval_noop_max, config.eval_repeat_action_probability) == (12, 0.5)
    assert (config.env.end_penalty, config.last_end_penalty) == (2.5, None)
    assert (config.env.noop_max, config.env.repeat_action_probability) == (9, 0.25)
    assert config.network.piecewise_linear
    assert (config.curriculum.progress_mask, config.curriculum.segment) == (False, 8)
    assert config.distillation_policies == {"1-1": "runs/1-1"}
    assert (config.distillation_coef, config.schedule) == (0.25, "competence")


def test_presets_as_they_were_written_before_are_those_of_today() -> None:
    """A run that was begun with a preset goes on with it."""
    for name, config in PRESETS.items():
        old = json.loads(config.model_dump_json())
        schedule = old.pop("schedule")
        if schedule == "competence":
            schedule = "mastery"
        old["lr_schedule"] = old["entropy_schedule"] = schedule
        old["teacher_schedule"] = "linear" if "generalist" in name else "constant"
        old["target_kl"] = {"generalist": 0.05, "tutorial": None}.get(name, 0.03)
        old["network"]["hats"] = old["network"].pop("piecewise_linear")
        assert TrainConfig.model_validate(migrate(old)) == config


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ema": 0.95}, "ema=0.95"),
        ({"kl_beta": 2.0}, "kl_beta=2.0"),
        ({"target_kl": 0.001}, "target_kl=0.001"),
        (
            {"lr_schedule": "mastery", "entropy_schedule": "constant"},
            "lr_schedule=mastery, entropy_schedule=constant",
        ),
    ],
)
def test_a_run_that_asks_for_what_is_gone_says_which_version_has_it(
    tmp_path: Path, given: dict[str, Any], told: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(given))
    with pytest.raises(CheckpointError) as raised:
        read_config(tmp_path)
    assert f"begun with {told}, which only warpzone {LAST} has" in str(raised.value)


def test_an_agent_plays_on_without_what_only_training_asked_for() -> None:
    assert migrate({"ema": 0.95, "env": {"noops": 3}}, playing=True) == {"env": {"noop_max": 3}}


def test_new_names_stay() -> None:
    settings = json.loads(resolve("specialist").model_dump_json())
    assert migrate(settings) == settings


def test_every_new_name_exists_and_no_old_one_does() -> None:
    known = set(setting_names(TrainConfig))
    assert set(RENAMED.values()) <= known
    assert not known & {*RENAMED, *REMOVED, *SCHEDULES}


def test_names_from_elsewhere_lead_to_settings_that_there_are() -> None:
    known = set(setting_names(TrainConfig))
    assert set(CALLED_ELSEWHERE.values()) <= known
    assert not known & set(CALLED_ELSEWHERE)
    for given, right in {**CALLED_ELSEWHERE, **RENAMED}.items():
        with pytest.raises(ConfigError, match=rf"{given!r}\. It is called {right} here$"):
            parse_overrides([f"{given}=1"], TrainConfig)


def test_the_settings_of_an_old_run_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(OLD))
    assert read_config(tmp_path).update_epochs == 7


def test_what_was_never_a_setting_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"passess": 7}))
    with pytest.raises(CheckpointError, match="passess"):
        read_config(tmp_path)
