"""A campaign: its budget, what the network is taught by and how long, and how it goes on."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from warpzone.errors import AgentError, CheckpointError, ConfigError, RunError
from warpzone.training import campaign, sweep
from warpzone.training.campaign import NETWORK, PRESET, CampaignState, Outcome
from warpzone.training.presets import resolve
from warpzone.training.sweep import Entry

# In place of a training: goes on from its step to the last one at a pace, or until it is stopped.
TRAIN = """
import json, pathlib, signal, sys, time
path, total, pace, rate, seconds = pathlib.Path(sys.argv[1]), *map(float, sys.argv[2:])
path.mkdir(parents=True, exist_ok=True)
(path / "config.json").touch()
(path / "best.safetensors").touch()
status, stopped = path / "status.json", []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
time.sleep(seconds)
step = json.loads(status.read_text())["step"] if status.exists() else 0
before = time.monotonic()
while step < total and not stopped:
    time.sleep(0.01)
    now = time.monotonic()
    step, before = min(total, step + pace * (now - before)), now
    with (path / "metrics.jsonl").open("a") as file:
        file.write("{}\\n")
state = {"state": "finished" if step >= total else "interrupted", "step": int(step)}
status.write_text(json.dumps({**state, "best_clear_rate": rate}))
sys.exit(0 if state["state"] == "finished" else 3)
"""
PACE = 10_000.0


class Trainings:
    """Makes commands of trainings, and keeps what was asked for."""

    def __init__(self, rates: dict[str, float], seconds: float = 0.0) -> None:
        self.rates, self.seconds = rates, seconds
        self.levels: list[str] = []
        self.networks: list[tuple[str, int, int, list[str]]] = []
        """Levels, total steps, threads, settings."""

    def specialist(
        self, entry: Entry, preset: str, steps: int, settings: Sequence[str], rom: Path | None
    ) -> list[str]:
        self.levels.append(entry.level)
        return self._line(entry.path, steps, 1e6, self.rates[entry.level])

    def network(
        self, levels: str, path: Path, preset: str, total: int, threads: int,
        settings: Sequence[str], rom: Path | None,
    ) -> list[str]:  # fmt: skip
        assert preset == PRESET
        self.networks.append((levels, total, threads, list(settings)))
        return self._line(path, total, PACE, self.rates.get("all", 0.5))

    def _line(self, path: Path, total: int, pace: float, rate: float) -> list[str]:
        values = map(str, (path, total, pace, rate, self.seconds))
        return [sys.executable, "-c", TRAIN, *values]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "PAUSE", 0.01)
    monkeypatch.setattr(sweep, "POLL", 0.01)
    monkeypatch.setattr(campaign, "SHORTEST_ROUND", 0.5)
    monkeypatch.setattr(campaign, "SAVE_EVERY", 0.05)


def go(out: Path, trainings: Trainings, seconds: float, **settings: Any) -> Outcome:
    arguments: dict[str, Any] = {"jobs": 1, "slice_steps": 10, "log": lambda text: None}
    return campaign.run(
        [level for level in trainings.rates if level != "all"], out, hours=seconds / 3600,
        make_command=trainings.specialist, make_network_command=trainings.network,
        **(arguments | settings),
    )  # fmt: skip


def state_of(out: Path) -> CampaignState:
    return CampaignState.model_validate_json((out / "campaign.json").read_text())


def test_the_network_is_taught_by_the_specialists_and_has_the_time_that_they_leave(
    tmp_path: Path,
) -> None:
    trainings = Trainings({"1-1": 0.99, "1-2": 0.96})
    outcome = go(tmp_path, trainings, 8.0, jobs=2, init="1-1", network_settings=["lr=0.1"])
    assert trainings.levels == ["1-1", "1-2"]
    assert all(entry.done for entry in outcome.entries)
    network = outcome.network
    assert network is not None
    levels, total, threads, settings = trainings.networks[0]
    assert (levels, total, threads) == ("1-1,1-2", resolve(PRESET).total_steps, 2)
    policies = {level: str(tmp_path / level) for level in ("1-1", "1-2")}
    assert settings == [
        "lr=0.1", 'init="1-1"', f"distillation_policies={json.dumps(policies)}"
    ]  # fmt: skip
    # The steps are those that the pace allows, and are over before the time is.
    last = trainings.networks[-1][1]
    assert last < total
    assert 0.7 * last <= network.steps <= last
    state = state_of(tmp_path)
    assert state.specialist_seconds + state.network_seconds == pytest.approx(8.0, abs=1.0)
    assert state.network_seconds > 4.0
    assert outcome.runs == [tmp_path / "1-1", tmp_path / "1-2", tmp_path / NETWORK]
    assert outcome.as_json()["network"]["steps"] == network.steps


def test_a_specialist_that_never_clears_teaches_nothing(tmp_path: Path) -> None:
    trainings = Trainings({"1-1": 0.0, "1-2": 0.99})
    outcome = go(tmp_path, trainings, 8.0)
    (settings,) = {tuple(settings) for *_, settings in trainings.networks}
    assert settings == (f'distillation_policies={{"1-2": {json.dumps(str(tmp_path / "1-2"))}}}',)
    # It had all that was left of the specialists' share.
    assert trainings.levels[:2] == ["1-1", "1-2"]
    assert set(trainings.levels[2:]) == {"1-1"}
    assert state_of(tmp_path).specialist_seconds == pytest.approx(4.0, abs=1.0)
    asked = trainings.levels.count("1-1")
    assert state_of(tmp_path).levels["1-1"].slices in (asked - 1, asked)  # the last may be stopped
    assert not outcome.interrupted


def test_shares_of_nothing(tmp_path: Path) -> None:
    trainings = Trainings({"1-1": 0.99, "1-2": 0.99})
    outcome = go(tmp_path / "specialists", trainings, 1.0, network_share=0.0)
    assert (len(trainings.levels), trainings.networks, outcome.network) == (2, [], None)
    trainings = Trainings({"1-1": 0.99, "1-2": 0.99})
    outcome = go(tmp_path / "network", trainings, 1.0, network_share=1.0)
    assert trainings.levels == []
    assert trainings.networks[0][3] == []
    assert outcome.network is not None
    assert outcome.network.steps > 0


def test_time_that_is_spent_is_spent_also_for_the_next_call(tmp_path: Path) -> None:
    trainings = Trainings({"1-1": 0.5, "1-2": 0.5})
    go(tmp_path, trainings, 2.0)
    state = state_of(tmp_path)
    trainings = Trainings({"1-1": 0.5, "1-2": 0.5})
    outcome = go(tmp_path, trainings, 2.0)
    assert (trainings.levels, trainings.networks) == ([], [])
    assert state_of(tmp_path).levels == state.levels
    # More hours are more time for both.
    outcome = go(tmp_path, trainings, 5.0)
    assert trainings.levels
    assert trainings.networks
    assert outcome.seconds == pytest.approx(5.0, abs=1.0)


def test_the_search_before_the_first_update_is_not_stopped(tmp_path: Path) -> None:
    trainings = Trainings({"1-1": 0.99, "1-2": 0.99}, seconds=1.5)
    outcome = go(tmp_path, trainings, 5.0, network_share=1.0)
    assert outcome.network is not None
    assert outcome.network.steps > 0
    assert trainings.networks[1][1] < resolve(PRESET).total_steps


def test_a_network_that_reaches_its_target_leaves_the_rest_of_the_time(tmp_path: Path) -> None:
    class Reached(Trainings):
        def network(self, *arguments: Any) -> list[str]:
            line = super().network(*arguments)
            line[4] = "100"  # its steps, of which it was told more
            return line

    trainings = Reached({"1-1": 0.99, "1-2": 0.99, "all": 0.99})
    outcome = go(tmp_path, trainings, 60.0)
    assert len(trainings.networks) == 1
    assert outcome.seconds < 30
    assert outcome.network is not None
    assert outcome.network.steps == 100


def test_a_network_that_fails_is_tried_again_and_then_left(tmp_path: Path) -> None:
    def failing(*_: object) -> list[str]:
        return [sys.executable, "-c", "print('error: no luck'); raise SystemExit(2)"]

    said: list[str] = []
    trainings = Trainings({"1-1": 0.99, "1-2": 0.99})
    trainings.network = failing  # type: ignore[assignment, method-assign]  # in its place
    outcome = go(tmp_path, trainings, 60.0, log=said.append)
    assert outcome.network is not None
    assert outcome.network.failures == sweep.ATTEMPTS
    assert "network: failed with status 2, left: error: no luck" in said
    assert outcome.as_json()["network"]["failed"] == "error: no luck"


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_interruption_is_told_and_the_same_call_goes_on(tmp_path: Path, share: float) -> None:
    trainings = Trainings({"1-1": 0.5, "1-2": 0.5})

    class Interrupting(Trainings):
        def _line(self, path: Path, *numbers: float) -> list[str]:
            kill = (
                f"import os, time; time.sleep(0.3); os.kill({os.getpid()}, {int(signal.SIGTERM)})"
            )
            code = f"{kill}\nimport sys\n{TRAIN}"
            return [sys.executable, "-c", code, str(path), "100000", "1000", "0.5", "0"]

    outcome = go(tmp_path, Interrupting(trainings.rates), 60.0, network_share=share)
    assert outcome.interrupted
    assert outcome.as_json()["interrupted"]
    assert outcome.seconds < 20
    steps = [
        json.loads((run / "status.json").read_text())["step"]
        for run in outcome.runs
        if run.exists()
    ]
    outcome = go(tmp_path, trainings, outcome.seconds + 1.0, network_share=share)
    assert not outcome.interrupted
    after = [
        json.loads((run / "status.json").read_text())["step"]
        for run in outcome.runs
        if run.exists()
    ]
    assert sum(after) > sum(steps)


def test_two_campaigns_do_not_share_a_directory(tmp_path: Path) -> None:
    with campaign._alone(tmp_path), pytest.raises(RunError, match="another campaign works"):
        go(tmp_path, Trainings({"1-1": 0.99, "1-2": 0.99}), 1.0)


@pytest.mark.parametrize("text", ["", "{}{", '{"levels": 1}', '{"network_seconds": -1}'])
def test_a_damaged_state_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "campaign.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"campaign\.json"):
        go(tmp_path, Trainings({"1-1": 0.99, "1-2": 0.99}), 1.0)


def test_the_time_that_is_spent_is_noted_on_the_way(tmp_path: Path) -> None:
    ledger = campaign._Ledger(tmp_path / "campaign.json")
    with ledger.spending("network_seconds", 10.0) as left:
        time.sleep(0.1)
        assert left() < 10.0
        assert state_of(tmp_path).network_seconds >= 0.1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hours": 0.0}, "hours"),
        ({"jobs": 0}, "at least 1"),
        ({"slice_steps": 0}, "at least 1"),
        ({"network_share": 1.5}, "from 0 to 1"),
        ({"levels": ["1-1"]}, "needs at least two"),
        ({"network_share": 0.0, "init": "1-1"}, "no network to begin with"),
        ({"settings": ["learning_rate=1"]}, "It is called lr here"),
        ({"settings": ["gamma=7"]}, "gamma: .*less than or equal to 1"),
        ({"settings": ["init={level}.safetensors", "num_envs=1"]}, "num_envs: "),
        ({"network_settings": ["gamma=7"]}, "gamma: .*less than or equal to 1"),
        ({"preset": "pixels"}, "cannot learn from specialists with another env.observation"),
        ({"preset": "tiles"}, "cannot learn from specialists with another env.actions"),
        ({"network_settings": ["env.actions=simple"]}, "specialists with another env.actions"),
        ({"settings": ["env.frame_skip=2"]}, "specialists with another env.frame_skip"),
        ({"settings": ["network.kind=gru"]}, "specialists whose network has a memory .*gru"),
    ],
)
def test_what_is_wrong_is_told_before_anything_begins(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"levels": ["1-1", "1-2"], "hours": 1.0, "jobs": 1, **wrong}
    levels = arguments.pop("levels")
    with pytest.raises(ConfigError, match=message):
        campaign.run(levels, tmp_path / "new", **arguments)
    assert [*tmp_path.iterdir()] == []


def test_an_agent_to_begin_with_is_looked_for_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="nobody"):
        campaign.run(["1-1", "1-2"], tmp_path / "new", hours=1.0, jobs=1, init="nobody")
    assert [*tmp_path.iterdir()] == []


def test_where_no_runs_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name in ("file", "file/below", "x" * 256):
        with pytest.raises(ConfigError, match="cannot write runs to"):
            go(tmp_path / name, Trainings({"1-1": 0.5, "1-2": 0.5}), 1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
