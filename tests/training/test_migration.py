"""Settings of older versions are read under the names of today."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from warpzone.errors import CheckpointError, ConfigError
from warpzone.settings import parse_overrides, setting_names
from warpzone.training import resolve
from warpzone.training.config import TrainConfig
from warpzone.training.migration import CALLED_ELSEWHERE, RENAMED, migrate
from warpzone.training.run_directory import read_config

OLD = {
    "passes": 7,
    "minibatch": 64,
    "eval_noops": 12,
    "eval_sticky": 0.5,
    "env": {"levels": {"1-1": 1.0}, "noops": 9, "sticky": 0.25},
}


def test_old_names_become_new_ones() -> None:
    config = TrainConfig.model_validate(migrate(OLD))
    assert (config.update_epochs, config.minibatch_size) == (7, 64)
    assert (config.eval_noop_max, config.eval_repeat_action_probability) == (12, 0.5)
    assert (config.env.noop_max, config.env.repeat_action_probability) == (9, 0.25)


def test_new_names_stay() -> None:
    settings = json.loads(resolve("specialist").model_dump_json())
    assert migrate(settings) == settings


def test_every_new_name_exists_and_no_old_one_does() -> None:
    known = set(setting_names(TrainConfig))
    assert set(RENAMED.values()) <= known
    assert not known & set(RENAMED)


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
