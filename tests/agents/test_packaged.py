"""Agents that come with warpzone: by level, from the command line, and as good as is said."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pygame
import pytest
from scripts import package_agents
from tests.support.agents import ENV, write_agent
from tests.support.commands import error_of, plain, run

from warpzone.agents.agent import Agent
from warpzone.agents.packaged import Collection, evaluate_packaged, score
from warpzone.agents.packaging import MOST_BYTES
from warpzone.agents.playback import Playback
from warpzone.agents.results import read_results
from warpzone.errors import AgentError
from warpzone.training import packaged_index
from warpzone.training.agent_file import load_agent
from warpzone.training.evaluation import EvalResult
from warpzone.training.packaged_index import (
    CONDITIONS,
    ConditionName,
    PackagedAgent,
    PackagedEntry,
    PackagedIndex,
    read_index,
    trained_folder,
)
from warpzone.training.resolve_agent import resolve_agent
from warpzone.viewers.window import Window

MADE_UP = EvalResult(0.5, 100, (0.4, 0.6), 1000.0, 900.0)


def entry(file: str, policy: str) -> PackagedEntry:
    return PackagedEntry.model_validate(
        {"file": file, "policy": policy, "rates": dict.fromkeys(CONDITIONS, MADE_UP)}
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Agents that know nothing, one for 1-1 and 2-2, another for 1-2, as if installed."""
    path = tmp_path / "trained"
    write_agent(path / "two.safetensors", steps=2)
    write_agent(path / "one.safetensors", seed=1, steps=1)
    index = PackagedIndex(
        levels={
            "2-2": entry("two.safetensors", "sample"),
            "1-2": entry("one.safetensors", "argmax"),
            "1-1": entry("two.safetensors", "argmax"),
        },
        networks={"generalist": PackagedAgent(file="one.safetensors", policy="argmax")},
    )
    (path / "agents.json").write_text(index.model_dump_json())
    monkeypatch.setattr(packaged_index, "trained_folder", lambda: path)
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def nothing_packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agents.json").write_text('{"levels": {}}')
    monkeypatch.setattr(packaged_index, "trained_folder", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)


def test_one_file_serves_several_levels_and_is_loaded_once(folder: Path) -> None:
    collection = Collection()
    assert collection.levels == ["1-1", "1-2", "2-2"]
    first, other = collection.agent("1-1"), collection.agent("2-2")
    assert first.policy is other.policy
    assert (first.level, first.policy_mode) == ("1-1", "argmax")
    assert (other.level, other.policy_mode) == ("2-2", "sample")
    assert collection.agent("1-1").info.steps == 2
    assert collection.agent("1-2").info.steps == 1
    assert collection["2-2"].policy == "sample"
    assert collection.path("1-2") == folder / "one.safetensors"


@pytest.mark.usefixtures("folder")
def test_a_network_for_all_levels_has_a_name() -> None:
    source = resolve_agent("generalist")
    assert (source.file.name, source.policy, source.level) == ("one.safetensors", "argmax", None)
    assert list(Agent.load("generalist").levels) == list(ENV.levels)
    with pytest.raises(
        AgentError, match=r"no agent 'generalist-untold' .*\(there is: generalist\)"
    ):
        resolve_agent("generalist-untold")


@pytest.mark.usefixtures("folder")
def test_a_level_without_an_agent() -> None:
    for command in (["record", "8-4"], ["eval", "8-4"], ["eval", "--levels", "1-1,8-4"]):
        text = error_of(*command)
        assert "no agent for level 8-4" in text
        assert "1-1, 1-2, 2-2" in text
        assert "warpzone train 8-4" in text


@pytest.mark.usefixtures("nothing_packaged")
def test_no_agents_at_all() -> None:
    assert Collection().levels == []
    assert "no agent for level 1-1" in error_of("eval", "1-1")
    for command in (["eval"], ["eval", "--levels", "all"]):
        text = error_of(*command)
        assert "no agents come with this version" in text
        assert "warpzone train 1-1" in text


@pytest.mark.parametrize("text", ["", "{}{", '{"levels": {"9-9": {}}}', '{"agents": 1}'])
def test_a_damaged_index_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "agents.json").write_text(text)
    with pytest.raises(AgentError, match=r"agents\.json"):
        read_index(tmp_path)


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"agents\.json.*Install warpzone again"):
        read_index(tmp_path)


def test_score_is_the_worst_then_the_mean() -> None:
    assert score({"fixed": 1.0, "noops": 0.9, "sticky": 0.5}) == pytest.approx((0.5, 0.7))
    assert score({"fixed": 0.6, "noops": 0.6, "sticky": 0.6}) > score(
        {"fixed": 1.0, "noops": 1.0, "sticky": 0.5}
    )
    # One episode, the same each time.
    assert score({"fixed": 0.0, "noops": 0.9, "sticky": 0.5}) == pytest.approx((0.5, 0.7))


@pytest.mark.usefixtures("folder")
def test_each_level_is_measured_with_its_agent_and_its_policy() -> None:
    arguments = ["eval", "--levels", "1-2,2-2", "--episodes", "2", "--noop-max", "3", "--json"]
    report = json.loads(run(*arguments).stdout)
    assert set(report) == {"levels", "agents", "protocols", "rom"}
    assert list(report["levels"]) == ["1-2", "2-2"]
    assert report["agents"] == {"1-2": "one.safetensors", "2-2": "two.safetensors"}
    policies = {level: protocol["policy"] for level, protocol in report["protocols"].items()}
    assert policies == {"1-2": "argmax", "2-2": "sample"}
    assert all(protocol["noop_max"] == 3 for protocol in report["protocols"].values())
    report = json.loads(run(*arguments, "--policy", "sample").stdout)
    assert report["protocols"]["1-2"]["policy"] == "sample"


@pytest.mark.usefixtures("folder")
def test_all_levels_are_those_that_have_an_agent() -> None:
    result = run("eval", "--levels", "all", "--episodes", "1")
    assert result.exit_code == 0
    text = plain(result.output)
    assert "without an agent: 1-3, 1-4" in text
    for words in ("1-1", "1-2", "2-2", "argmax", "likeliest actions", "sampled actions"):
        assert words in text


@pytest.mark.usefixtures("folder")
def test_one_level_is_measured_like_a_run() -> None:
    report = json.loads(run("eval", "1-2", "--episodes", "1", "--json").stdout)
    assert set(report) == {"levels", "protocol", "rom"}
    assert list(report["levels"]) == ["1-2"]
    assert report["protocol"]["policy"] == "argmax"
    report = json.loads(run("eval", "1-2", "--levels", "1-1", "--episodes", "1", "--json").stdout)
    assert list(report["levels"]) == ["1-1"]


def test_what_lies_there_goes_before_a_packaged_agent(folder: Path) -> None:
    write_agent(folder.parent / "1-2" / "best.safetensors", ENV)
    report = json.loads(run("eval", "1-2", "--episodes", "1", "--json").stdout)
    assert report["protocol"]["policy"] == "sample"
    assert list(report["levels"]) == list(ENV.levels)


def test_record_films_a_level(folder: Path) -> None:
    film = folder.parent / "clip.gif"
    result = run("record", "2-2", "-o", film, "--until-clear", "1")
    assert result.exit_code == 0, result.output
    assert "2-2, sample" in plain(result.output)
    assert film.is_file()


@pytest.mark.usefixtures("folder")
def test_watch_goes_through_levels_that_have_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    opened: list[tuple[str, str, str]] = []
    begin = Playback.episode

    def episode(playback: Playback, seed: int) -> object:
        opened.append((playback.level, playback.agent.path.name, playback.policy))
        return begin(playback, seed)

    def events(window: Window) -> list[pygame.event.Event]:
        if not opened:
            return []
        if len(opened) < 4:
            return [pygame.event.Event(pygame.KEYDOWN, key=pygame.K_n, unicode="n")]
        return [pygame.event.Event(pygame.QUIT)]

    monkeypatch.setattr(Playback, "episode", episode)
    monkeypatch.setattr(Window, "events", events)
    result = run("watch", "1-2")
    pygame.quit()
    assert result.exit_code == 0, result.output
    assert opened == [
        ("1-2", "one.safetensors", "argmax"),
        ("2-2", "two.safetensors", "sample"),
        ("1-1", "two.safetensors", "argmax"),
        ("1-2", "one.safetensors", "argmax"),
    ]


# What is really packaged.

INSTALLED = read_index(package_agents.FOLDER)


def chosen() -> list[str]:
    """The first level that has an agent, 8-4 if it has one, and one in between."""
    levels = list(INSTALLED.levels)
    middle = levels[len(levels) // 2 :][:1]
    return list(dict.fromkeys([*levels[:1], *middle, *(["8-4"] if "8-4" in levels else [])]))


@pytest.fixture
def some_packaged() -> None:
    assert INSTALLED.levels, "the package has lost its agents"


def test_the_installed_package_has_what_the_sources_have() -> None:
    assert read_index(trained_folder()) == INSTALLED
    for level in INSTALLED.levels:
        assert Collection().path(level).is_file()


def test_files_and_index_belong_together() -> None:
    files = sorted(package_agents.FOLDER.glob("*.safetensors"))
    assert {file.name for file in files} == {agent.file for agent in INSTALLED.agents}
    size = sum(file.stat().st_size for file in files)
    assert size == read_results(package_agents.RESULTS).bytes
    if INSTALLED.networks:  # specialists for all levels are larger
        others = sum(file.stat().st_size for file in package_agents.FOLDER.glob("games/*"))
        assert size + others <= MOST_BYTES
    for file in files:
        levels = load_agent(file)[1].env.levels
        served = [level for level, e in INSTALLED.levels.items() if e.file == file.name]
        assert set(served) <= set(levels)


def test_the_index_is_an_extract_of_the_results() -> None:
    results = read_results(package_agents.RESULTS)
    assert results.index_entries() == INSTALLED.levels
    assert list(results.networks) == list(INSTALLED.networks)
    for _, _, record in results.entries():
        assert set(record.rates) == set(CONDITIONS)
        assert min(rate.episodes for rate in record.rates.values()) >= 100


def fisher(one: int, of_one: int, other: int, of_other: int) -> float:
    """P-value of Fisher's exact test, two-sided, that two samples have the same rate."""
    total = math.comb(of_one + of_other, one + other)

    def probability(successes: int) -> float:
        return math.comb(of_one, successes) * math.comb(of_other, one + other - successes) / total

    possible = range(max(0, one + other - of_other), min(of_one, one + other) + 1)
    seen = probability(one) * (1 + 1e-9)
    return sum(p for p in map(probability, possible) if p <= seen)


def test_fishers_exact_test() -> None:
    assert fisher(3, 4, 1, 4) == pytest.approx(0.4857142857)  # the lady tasting tea
    assert fisher(100, 100, 58, 60) > 0.001
    assert fisher(100, 100, 40, 60) < 0.001


@pytest.mark.slow
@pytest.mark.usefixtures("some_packaged")
@pytest.mark.parametrize("start", ["noops", "sticky"])
@pytest.mark.parametrize("level", chosen() or [None])
def test_packaged_agents_play_as_well_as_is_said(level: str, start: ConditionName) -> None:
    told = INSTALLED.levels[level].rates[start]
    protocol = CONDITIONS[start]
    found = evaluate_packaged(
        Collection(package_agents.FOLDER),
        [level],
        episodes=60,
        noop_max=protocol.noop_max,
        repeat_action_probability=protocol.repeat_action_probability,
        seed=777,
    ).levels[level]
    cleared = round(found.clear_rate * found.episodes)
    told_cleared = round(told.clear_rate * told.episodes)
    assert fisher(cleared, found.episodes, told_cleared, told.episodes) > 0.001, (
        f"{level}: {cleared} of {found.episodes} cleared, {told_cleared} of {told.episodes} told"
    )
