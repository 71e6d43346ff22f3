"""Which trials a fleet has, and what its file and its run directories tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from warpzone.errors import CheckpointError, ConfigError
from warpzone.fleet import plan as plans
from warpzone.fleet.fleet import begin
from warpzone.fleet.plan import FleetPlan, is_finished, make_plan, state_of


def test_levels_seeds_and_settings_give_a_trial_each(tmp_path: Path) -> None:
    plan = make_plan(
        ["1-1", "1-2"], seeds=2, first_seed=5, steps=1000, grid=["lr=1e-3,2e-3"],
        settings=["num_envs=8"],
    )  # fmt: skip
    assert [trial.name for trial in plan.trials] == [
        f"{level}-lr{lr}-seed{seed}"
        for level in ("1-1", "1-2")
        for lr in ("0.001", "0.002")
        for seed in (5, 6)
    ]
    config = plan.config(plan.trials[-1])
    assert (config.seed, config.lr, config.num_envs, config.total_steps) == (6, 0.002, 8, 1000)
    assert config.env.levels == {"1-2": 1.0}
    begin(plan, tmp_path / "fleet")
    assert FleetPlan.load(tmp_path / "fleet") == plan
    with pytest.raises(ConfigError, match="holds a fleet already"):
        begin(plan, tmp_path / "fleet")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(ConfigError, match="already holds something"):
        begin(plan, tmp_path / "other")


def test_names_are_names_of_directories_and_differ() -> None:
    plan = make_plan(["1-1", "1-2", "1-3", "1-4", "2-1"], together=True, grid=["device=cpu,../x"])
    assert [t.name for t in plan.trials] == [
        "5-levels-devicecpu-seed0",
        "5-levels-device.._x-seed0",
    ]
    same = make_plan(["1-1"], grid=['init="a/b","a b"'])
    assert [trial.name for trial in same.trials] == ["1-1-inita_b-seed0", "1-1-inita_b-2-seed0"]
    with pytest.raises(ValueError, match="pattern"):
        FleetPlan.model_validate(
            {"preset": "tiles", "trials": [
                {"name": "../away", "levels": "1-1", "seed": 0, "settings": {}}]}
        )  # fmt: skip


def test_a_combination_that_does_not_fit_is_a_failed_trial_among_others() -> None:
    plan = make_plan(["1-1"], grid=["minibatch_size=64,1000000"])
    assert [bool(trial.failed) for trial in plan.trials] == [False, True]
    assert "larger than a rollout" in plan.trials[1].failed
    with pytest.raises(ConfigError, match="larger than a rollout"):
        make_plan(["1-1"], grid=["minibatch_size=1000000,2000000"])


def test_populations_are_of_a_level_and_of_what_must_stay() -> None:
    plan = make_plan(["1-1", "1-2"], seeds=2, grid=["gamma=0.9,0.99"], explored=["lr=1e-4..1e-2"])
    assert {trial.population for trial in plan.trials} == {
        f"{level} gamma={gamma}" for level in ("1-1", "1-2") for gamma in (0.9, 0.99)
    }
    begun = [trial.settings["lr"] for trial in plan.trials]
    assert len(set(begun)) == len(begun)
    assert all(1e-4 <= lr <= 1e-2 for lr in begun)
    # Values that are listed are those that members begin with.
    listed = make_plan(["1-1"], grid=["lr=1e-3,2e-3"], explored=["lr=1e-4..1e-2"])
    assert [trial.settings["lr"] for trial in listed.trials] == [0.001, 0.002]
    assert len({trial.population for trial in listed.trials}) == 1
    # A checkpoint lies where members are compared.
    config = listed.config(listed.trials[0])
    assert listed.updates(config) == round(1_000_000 / config.batch)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"grid": ["lr=1e-3", "lr=2e-3"]}, "twice"),
        ({"grid": ["lr=1e-3"], "settings": ["lr=1e-2"]}, "set by --set"),
        ({"grid": ["seed=1,2"]}, "--seeds"),
        ({"settings": ["seed=1"]}, "--seeds"),
        ({"steps": 5, "settings": ["total_steps=5"]}, "--steps"),
        ({"grid": ["unknown=1"]}, "unknown setting"),
        ({"seeds": 20_000}, "20,000 trials"),
        ({"explored": ["lr=1e-4..1e-2"]}, "one member"),
        ({"explored": ["lr=1e-4..1e-2"] * 2, "seeds": 2}, "twice"),
        (
            {"explored": ["lr=1e-4..1e-2"], "seeds": 2, "settings": ["checkpoint_every=3"]},
            "--interval",
        ),
    ],
)
def test_what_is_no_fleet(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make_plan(["1-1"], **given)


def test_a_file_that_is_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no fleet"):
        FleetPlan.load(tmp_path)
    for text in ("{", "[]", '{"format": 2}', '{"preset": "tiles", "trials": []}'):
        (tmp_path / plans.FILE).write_text(text)
        with pytest.raises(CheckpointError, match="cannot read"):
            FleetPlan.load(tmp_path)


def test_what_a_run_directory_tells_of_a_trial(tmp_path: Path) -> None:
    plan = make_plan(["1-1"], steps=1000, seeds=2, explored=["lr=1e-4..1e-2"])
    trial = plan.trials[0]
    assert state_of(plan, trial, tmp_path)["state"] == "waiting"
    assert not is_finished(plan, trial, tmp_path)
    run = tmp_path / trial.name
    run.mkdir()
    changed = plan.config(trial, {"lr": 0.005})
    (run / "config.json").write_text(changed.model_dump_json())

    def write(**status: Any) -> None:
        (run / "status.json").write_text(json.dumps(status))

    write(state="interrupted", step=1000)
    assert not is_finished(plan, trial, tmp_path)
    told = state_of(plan, trial, tmp_path)
    assert (told["state"], told["steps"], told["settings"]) == ("interrupted", 1000, {"lr": 0.005})
    write(state="finished", step=500, best_clear_rate=0.5)
    assert not is_finished(plan, trial, tmp_path)
    write(state="finished", step=500, best_clear_rate=0.97)
    assert is_finished(plan, trial, tmp_path)
    write(state="finished", step=1000, best_clear_rate=0.5)
    assert is_finished(plan, trial, tmp_path)
    trial.failed = "the disk is full"
    assert state_of(plan, trial, tmp_path)["state"] == "failed"
