"""`warpzone campaign`, from nothing to its table."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from tests.support.commands import error_of, run

from warpzone.agents.results import read_results
from warpzone.training.run_settings import read_config

SMALL = (
    "num_envs=4",
    "rollout_steps=8",
    "minibatch_size=32",
    "eval_episodes=2",
    "network.hidden=[8]",
)


@pytest.mark.slow
def test_a_campaign_from_nothing_to_its_table(tmp_path: Path) -> None:
    out = tmp_path / "campaign"
    options = "--hours 0.1 --jobs 2 --target 0 --slice-steps 32 --preset tiles --episodes 1"
    options += " --set env.actions=down"  # as the network's
    arguments: list[str | Path] = [
        "campaign",
        "1-1,1-2",
        "--out",
        out,
        *shlex.split(options),
        "--json",
    ]
    for setting in SMALL:
        arguments += ["--set", setting, "--set-network", setting]
    # Nothing is searched, and both are done with their first measurement.
    for setting in ("curriculum.share=0", "env.no_progress_steps=8", "eval_every=1"):
        arguments += ["--set-network", setting]
    arguments += ["--set-network", "target_clear_rate=0"]
    told = run(*arguments)
    assert told.exit_code == 0, told.output
    outcome = json.loads(told.stdout)
    assert outcome["levels"]["1-1"]["done"]
    assert outcome["network"]["steps"] > 0
    assert not outcome["interrupted"]
    assert 0 < outcome["seconds"] < 360
    assert read_config(out / "network").env.levels == {"1-1": 1.0, "1-2": 1.0}
    results = read_results(out / "results.json")
    assert results.table == ("1-1", "1-2")
    page = (out / "results.md").read_text(encoding="utf-8")
    assert "--network-share 0.5 --preset tiles --target 0 --slice-steps 32 --episodes 1" in page
    # The same line has nothing left to do.
    again = json.loads(run(*arguments).stdout)
    assert again["network"]["steps"] == outcome["network"]["steps"]
    assert again["levels"] == outcome["levels"]


def test_a_single_level_has_no_network(tmp_path: Path) -> None:
    line: list[str | Path] = [
        "campaign",
        "1-1",
        "--hours",
        "1",
        "--out",
        tmp_path / "new",
        "--network-share",
        "0.5",
    ]
    assert "needs at least two" in error_of(*line)
    assert not (tmp_path / "new").exists()
