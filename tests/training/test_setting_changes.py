"""What a run began with is known whatever was set later, also where it went back meanwhile."""

from __future__ import annotations

from pathlib import Path

from warpzone.training import TrainConfig
from warpzone.training.provenance import command_of
from warpzone.training.run_directory import RunDirectory
from warpzone.training.run_settings import SettingChange, begun_with, read_config


def goes_on(run: Path, step: int, **settings: float) -> SettingChange | None:
    """Lets a run go on from `step` with these settings, as `train` does."""
    directory = RunDirectory(run, TrainConfig(**settings))
    change = directory.log_changes(step)
    directory.open()
    return change


def told(run: Path) -> list[tuple[int, dict[str, tuple[object, object]]]]:
    changes = RunDirectory(run, read_config(run)).changes()
    return [(change.step, change.settings) for change in changes]


def begun(run: Path) -> TrainConfig:
    config = read_config(run)
    return begun_with(config, RunDirectory(run, config).changes())


def test_what_was_set_after_the_step_that_a_run_goes_back_to_is_set_from_there_on(
    tmp_path: Path,
) -> None:
    assert goes_on(tmp_path, 0, lr=0.001) is None
    goes_on(tmp_path, 1_000_000, lr=0.001, entropy_coef=0.5)
    goes_on(tmp_path, 2_000_000, lr=0.002, entropy_coef=0.5)
    goes_on(tmp_path, 2_500_000, lr=0.0025, entropy_coef=0.6)
    change = goes_on(tmp_path, 1_900_000, lr=0.003, entropy_coef=0.6)
    entropy = (TrainConfig().entropy_coef, 0.5)
    assert told(tmp_path) == [
        (1_000_000, {"entropy_coef": entropy}),
        (1_900_000, {"lr": (0.001, 0.003), "entropy_coef": (0.5, 0.6)}),
    ]
    assert change is not None
    assert begun(tmp_path) == TrainConfig(lr=0.001)
    config = read_config(tmp_path)
    line = command_of(config, RunDirectory(tmp_path, config).changes())
    assert line.partition("  # ")[0] == command_of(TrainConfig(lr=0.001))


def test_it_is_set_from_there_on_where_nothing_else_is_set(tmp_path: Path) -> None:
    goes_on(tmp_path, 0, lr=0.001)
    goes_on(tmp_path, 2_000_000, lr=0.002)
    assert goes_on(tmp_path, 1_000_000, lr=0.002) is not None
    assert told(tmp_path) == [(1_000_000, {"lr": (0.001, 0.002)})]
    assert goes_on(tmp_path, 1_000_000, lr=0.002) is None
    assert told(tmp_path) == [(1_000_000, {"lr": (0.001, 0.002)})]
    assert begun(tmp_path) == TrainConfig(lr=0.001)


def test_what_is_as_it_was_before_is_no_change(tmp_path: Path) -> None:
    goes_on(tmp_path, 0, lr=0.001)
    goes_on(tmp_path, 2_000_000, lr=0.002)
    assert goes_on(tmp_path, 1_000_000, lr=0.001) is None
    assert told(tmp_path) == []
    assert begun(tmp_path) == TrainConfig(lr=0.001)
