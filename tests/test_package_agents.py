"""The scripts that measure and package agents and write down what they reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from scripts import package_agents, write_results
from scripts.package_agents import Job, Measured, completed, stage
from tests.support.agents import write_agent

from warpzone.agents.evaluate import evaluate
from warpzone.agents.packaged import score
from warpzone.agents.results import Results, read_results
from warpzone.errors import AgentError
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS
from warpzone.training.agent_file import PolicyMode, Stage, load_agent, save_agent
from warpzone.training.evaluation import EvalResult, wilson
from warpzone.training.packaged_index import CONDITIONS, ConditionName, read_index
from warpzone.training.presets import resolve

ENV = EnvConfig(levels="1-1", noop_max=30, no_progress_steps=12)
BOTH = EnvConfig(levels="1-1,1-2", noop_max=30, no_progress_steps=12)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Folder and results file, both empty, in place of those of the repository."""
    folder, results = tmp_path / "trained", tmp_path / "results.json"
    folder.mkdir()
    monkeypatch.setattr(package_agents, "FOLDER", folder)
    monkeypatch.setattr(package_agents, "RESULTS", results)
    return folder, results


def result(rate: float, episodes: int = 100) -> EvalResult:
    cleared = round(rate * episodes)
    frames = 1202.0 if cleared else None
    return EvalResult(rate, episodes, wilson(cleared, episodes), 2000.0, frames)


class Skill:
    """In place of real episodes: clear rates under fixed, no-ops, sticky by file and policy."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rates: dict[str, dict[PolicyMode, tuple[float, float, float]]] = {}
        self.measured: list[tuple[str, str]] = []
        monkeypatch.setattr(package_agents, "ProcessPoolExecutor", Here)
        monkeypatch.setattr(package_agents, "measure", self.measure)

    def measure(self, job: Job) -> Measured:
        self.measured.append((str(load_agent(job.file)[1].steps), job.level))
        skill = self.rates[self.measured[-1][0]]
        selection: dict[PolicyMode, dict[ConditionName, float]] = {
            policy: dict(zip(CONDITIONS, rates, strict=True)) for policy, rates in skill.items()
        }
        best = max(selection, key=lambda policy: score(selection[policy]))
        rates = {name: result(rate, job.episodes) for name, rate in selection[best].items()}
        wins = score(selection[best]) > job.beats
        return Measured(selection, best, rates if wins else None)


class Here:
    """A pool of no processes."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        pass

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *arguments: object) -> None:
        pass

    def submit(self, work: Any, job: Job) -> Any:
        from concurrent.futures import Future

        future: Future[Any] = Future()
        future.set_result(work(job))
        return future


def agent(tmp_path: Path, steps: int, env: EnvConfig = ENV) -> Path:
    write_agent(tmp_path / f"run{steps}" / "best.safetensors", env, seed=steps, steps=steps)
    return tmp_path / f"run{steps}"


def test_the_better_agent_and_policy_is_kept(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = places
    skill = Skill(monkeypatch)
    skill.rates = {
        "1": {"sample": (0.9, 0.9, 0.5), "argmax": (1.0, 1.0, 0.4)},
        "2": {"sample": (0.0, 0.5, 0.5), "argmax": (1.0, 0.4, 0.9)},
        "3": {"sample": (0.0, 0.6, 0.6), "argmax": (1.0, 0.6, 0.6)},
    }
    for steps, expected, policy in ((1, 1, "sample"), (2, 1, "sample"), (3, 3, "argmax")):
        package_agents.main([str(agent(tmp_path, steps))])
        (entry,) = read_results(file).levels.values()
        assert (entry.steps, entry.policy) == (expected, policy)
        assert [path.name for path in folder.glob("*.safetensors")] == [entry.file]
        assert read_index(folder).levels["1-1"].file == entry.file
    assert entry.rates["noops"] == result(0.6)
    assert entry.score == pytest.approx((0.6, 2.2 / 3))
    assert entry.file.startswith("1-1-")


def test_what_is_packaged_already_is_not_measured_unless_with_more_episodes(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = places
    skill = Skill(monkeypatch)
    skill.rates = {"1": {"sample": (1.0, 1.0, 1.0)}}
    run = str(agent(tmp_path, 1))
    package_agents.main([run])
    package_agents.main([run])
    assert len(skill.measured) == 1
    skill.rates = {"1": {"sample": (0.9, 0.9, 0.8)}}
    package_agents.main([run, "--episodes", "200"])
    assert read_results(file).levels["1-1"].rates["sticky"] == result(0.8, 200)
    skill.rates = {"1": {"sample": (0.9, 0.9, 0.7)}}
    (packaged,) = folder.glob("*.safetensors")
    package_agents.main(["--again", str(packaged), "--episodes", "200"])
    assert read_results(file).levels["1-1"].rates["sticky"] == result(0.7, 200)
    assert packaged.is_file()


def test_one_agent_for_several_levels_gives_way_level_by_level(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = places
    skill = Skill(monkeypatch)
    skill.rates = {"1": {"sample": (0.5, 0.5, 0.5)}, "2": {"sample": (0.6, 0.6, 0.6)}}
    package_agents.main([str(agent(tmp_path, 1, BOTH))])
    levels = read_results(file).levels
    assert levels["1-1"].file == levels["1-2"].file
    assert levels["1-1"].file.startswith("2-levels-")
    assert levels["1-2"].trained_on == ["1-1", "1-2"]
    package_agents.main([str(agent(tmp_path, 2))])
    levels = read_results(file).levels
    assert (levels["1-1"].steps, levels["1-2"].steps) == (2, 1)
    assert len(list(folder.glob("*.safetensors"))) == 2
    assert [path for path in tmp_path.glob("trained/*") if path.suffix == ""] == []


def test_an_agent_that_never_clears_is_not_packaged_and_runs_without_one_are_left_out(
    places: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    skill = Skill(monkeypatch)
    skill.rates = {"1": {"sample": (0.0, 0.0, 0.0)}, "2": {"argmax": (1.0, 0.0, 0.0)}}
    package_agents.main([str(agent(tmp_path, 1)), str(tmp_path / "none")])
    assert "not better" in (text := capsys.readouterr().out)
    assert "left out" in text
    assert not places[1].exists()
    package_agents.main([str(agent(tmp_path, 2))])
    assert list(read_results(places[1]).levels) == ["1-1"]


def test_too_much_for_the_package(
    places: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    skill = Skill(monkeypatch)
    skill.rates = {"1": {"sample": (1.0, 1.0, 1.0)}}
    monkeypatch.setattr(package_agents, "MOST_BYTES", 1000)
    package_agents.main([str(agent(tmp_path, 1))])
    assert "not taken" in capsys.readouterr().out
    assert list(places[0].iterdir()) == []


def test_measuring_plays_both_policies_and_tells_of_other_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[tuple[str, int]] = []

    def spy(*arguments: Any, **settings: Any) -> Any:
        seeds.append((settings["policy"], settings["seed"]))
        return evaluate(*arguments, **settings)

    monkeypatch.setattr(package_agents, "evaluate", spy)
    file = write_agent(tmp_path / "a.safetensors", ENV)
    job = Job(file, "1-1", 2, 7, None, (-1.0, -1.0))
    measured = package_agents.measure(job)
    assert seeds[:6] == [("sample", 8)] * 3 + [("argmax", 8)] * 3
    assert seeds[6:] == [(measured.policy, 7)] * 3
    assert measured.rates is not None
    assert {rate.episodes for rate in measured.rates.values()} == {2}
    job = Job(file, "1-1", 2, 7, None, (2.0, 2.0))
    assert package_agents.measure(job).rates is None


def test_staged_agents_are_in_half_precision_and_named_by_content(tmp_path: Path) -> None:
    run = agent(tmp_path, 5)
    one = stage(run, tmp_path)
    assert one == stage(run / "best.safetensors", tmp_path)
    assert one != stage(agent(tmp_path, 6), tmp_path)
    tensors = safetensors.torch.load_file(one)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    with pytest.raises(AgentError):
        stage(tmp_path / "nowhere", tmp_path)


def test_older_agents_get_their_time_and_command_from_the_run(tmp_path: Path) -> None:
    run = agent(tmp_path, 20)
    info = load_agent(run / "best.safetensors")[1]
    assert completed(info, run) == info
    times = {"charts/rollout_seconds": 1.0, "charts/update_seconds": 0.5}
    lines = [{"step": 10, **times}, {"step": 20, **times}, {"step": 20, "eval/clear_rate": 1.0}]
    lines.append({"step": 30, **times})
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = resolve("tiles", seed=3, threads=2)
    (run / "config.json").write_text(config.model_dump_json())
    found = completed(info, run)
    assert (found.seconds, found.threads) == (3.0, 2)
    assert found.command == "warpzone train 1-1 --seed 3 --threads 2"
    told = info.model_copy(update={"seconds": 9.0, "threads": 1, "command": "it"})
    assert completed(told, run) == told


def test_a_damaged_results_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"levels": 1}')
    with pytest.raises(AgentError, match=r"results\.json"):
        read_results(tmp_path / "results.json")


def test_the_page_has_every_level_and_counts_them(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill = Skill(monkeypatch)
    skill.rates = {"1": {"sample": (1.0, 0.92, 0.79)}}
    package_agents.main([str(agent(tmp_path, 1, BOTH))])
    results = read_results(places[1])
    text = write_results.text_of(results)
    assert "- with a packaged agent: 2 (files: 1)" in text
    assert "- cleared at all from a fixed start: 2\n" in text
    assert "episodes with no-ops: 2\n" in text
    assert "sticky buttons: 0\n" in text
    rows = [line for line in text.splitlines() if line[2:5] in LEVELS]
    assert [row.split()[1] for row in rows] == list(LEVELS)
    file = results.levels["1-1"].file
    assert rows[0] == (
        "| 1-1 | overground | 100 % (96–100) | 92 % (85–96) | 79 % (70–86) | 20.0 | sample "
        f"| tiles | 0.00 | – | `{file}` |"
    )
    assert {row.count("|") for row in rows} == {12}
    assert "warpzone eval --levels all --episodes 100 --seed 0 --noop-max 30 --sticky 0.25" in text


def test_the_page_tells_all_stages_of_a_training(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill = Skill(monkeypatch)
    skill.rates = {"3000000": {"sample": (1.0, 1.0, 1.0)}}
    run = agent(tmp_path, 3_000_000)
    policy, info = load_agent(run / "best.safetensors")
    earlier = [
        Stage(
            command=f"warpzone train 1-1{more}", commit=name, steps=10**6, seconds=60.0, threads=1
        )
        for more, name in (("", "aaa"), (" --set lr=0.1 --set init=x.safetensors", None))
    ]
    update = {
        "earlier": tuple(earlier), "seconds": 240.0, "threads": 1, "commit": "ccc",
        "command": "warpzone train 1-1 --set init=best.safetensors --seed 3",
    }  # fmt: skip
    save_agent(run / "best.safetensors", policy.state_dict(), info.model_copy(update=update))
    package_agents.main([str(run)])
    results = read_results(places[1])
    entry = results.levels["1-1"]
    assert (entry.all_steps, entry.all_seconds) == (5_000_000, 360.0)
    text = write_results.text_of(results)
    assert "| 5.00 | 6.0 (1) |" in text
    commands = [line for line in text.splitlines() if line.startswith("warpzone train")]
    assert commands == [
        "warpzone train 1-1 --out runs/1-1-1  # aaa",
        "warpzone train 1-1 --set lr=0.1 --set init=runs/1-1-1 --out runs/1-1-2",
        "warpzone train 1-1 --set init=runs/1-1-2 --seed 3  # ccc",
    ]


def test_the_page_without_any_agent() -> None:
    text = write_results.text_of(Results())
    assert "- with a packaged agent: 0 (" in text


def test_the_page_in_the_repository_is_what_the_script_makes() -> None:
    source, page = write_results.DOCS / "results.json", write_results.DOCS / "results.md"
    assert page.read_text(encoding="utf-8") == write_results.text_of(read_results(source))
