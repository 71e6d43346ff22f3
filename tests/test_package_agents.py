"""The scripts that measure and package agents and write down what they reach."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import safetensors.torch
import torch
from scripts import package_agents, write_results
from tests.support.agents import write_agent
from tests.support.measurements import Here, result

from warpzone.agents import game_records, measurement, measuring
from warpzone.agents.agent import Agent
from warpzone.agents.evaluate import evaluate
from warpzone.agents.evaluate_game import GameEvaluation, GameProtocol, LevelCount
from warpzone.agents.measurement import Measurement, Played
from warpzone.agents.packaging import completed, stage
from warpzone.agents.results import Results, read_results
from warpzone.agents.results_page import text_of, training_text_of
from warpzone.agents.team import Team
from warpzone.errors import AgentError
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS
from warpzone.smb.signals import DEATHS
from warpzone.training.agent_file import PolicyMode, Stage, load_agent, save_agent
from warpzone.training.evaluation import wilson
from warpzone.training.packaged_index import CONDITIONS, NETWORKS, read_index
from warpzone.training.presets import resolve

ENV = EnvConfig(levels="1-1", noop_max=30, no_progress_steps=12)
BOTH = EnvConfig(levels="1-1,1-2", noop_max=30, no_progress_steps=12)
TOLD = EnvConfig(levels="all", noop_max=30, no_progress_steps=12, show_level=True)
UNTOLD = EnvConfig(levels="all", noop_max=30, no_progress_steps=12)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Folder and results file, both empty, in place of those of the repository."""
    folder, results = tmp_path / "trained", tmp_path / "results.json"
    folder.mkdir()
    monkeypatch.setattr(package_agents, "FOLDER", folder)
    monkeypatch.setattr(package_agents, "RESULTS", results)
    monkeypatch.setattr(package_agents, "LOG", tmp_path / "measurements.jsonl")
    return folder, results


class Skill:
    """In place of real episodes: clear rates under fixed, no-ops, sticky by file and policy."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rates: dict[str, dict[PolicyMode, tuple[float, float, float]]] = {}
        """By the steps of the agent, and behind a space a level where that one differs."""
        self.measured: list[tuple[str, Measurement]] = []
        monkeypatch.setattr(measuring, "ThreadPoolExecutor", Here)
        monkeypatch.setattr(measuring, "measure", self.measure)
        self.games: list[tuple[int, int, float]] = []
        """Files that play, lives and stickiness of whole games."""
        monkeypatch.setattr(game_records, "evaluate_game", self.play)

    def play(self, team: Team, **settings: Any) -> GameEvaluation:
        """In place of whole games: of ten, four are lost in 8-4, and more with one life."""
        lives, sticky = settings["lives"], settings["repeat_action_probability"]
        files = {str(team.agent(level).path) for level in LEVELS}
        self.games.append((len(files), lives, sticky))
        games = settings["episodes"]
        lost = games * (4 if lives == 3 else 7) // 10
        protocol = GameProtocol(
            games, lives, False, settings["noop_max"], sticky, None, 4, settings["seed"]
        )
        counts = {"8-3": LevelCount(reached=games), "8-4": LevelCount(ended=lost, deaths=2 * lost)}
        interval = wilson(games - lost, games)
        return GameEvaluation(
            games - lost,
            1 - lost / games,
            interval,
            36_059.28,
            31.6,
            2.5,
            1.9,
            counts,
            protocol,
            {},
        )

    def measure(self, one: Measurement, folder: Path, rom: Path | None) -> Played:
        steps = str(load_agent(folder / one.file)[1].steps)
        self.measured.append((steps, one))
        skill = self.rates.get(f"{steps} {one.level}", self.rates[steps])
        rates = skill.get(one.policy, (0.0, 0.0, 0.0))
        found = result(dict(zip(CONDITIONS, rates, strict=True))[one.condition], one.episodes)
        failed = round(one.episodes * (1 - found.clear_rate))
        return Played(result=found, ends={"pit, 512 px": failed} if failed else {})


def page(results: Results) -> str:
    return text_of(results, write_results.FRAME)


def level_rows(text: str) -> list[str]:
    table = text.partition("## Level by level")[2].partition("\n## ")[0]
    return [line for line in table.splitlines() if line[2:5] in LEVELS]


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
        "3": {"sample": (1.0, 0.6, 0.6), "argmax": (0.0, 0.7, 0.6)},
    }
    for steps, expected, policy in ((1, 1, "sample"), (2, 1, "sample"), (3, 3, "argmax")):
        package_agents.main([str(agent(tmp_path, steps))])
        results = read_results(file)
        (entry,) = results.specialists.values()
        assert (entry.steps, entry.policy) == (expected, policy)
        assert [path.name for path in folder.glob("*.safetensors")] == [entry.file]
        assert read_index(folder).levels["1-1"].file == entry.file
        assert results.packaged == {"1-1": "specialist"}
        assert results.bytes == (folder / entry.file).stat().st_size
    assert entry.rates["noops"] == result(0.7)
    assert entry.score == pytest.approx((0.6, 0.65))
    assert entry.file.startswith("1-1-")


def test_the_best_of_several_is_chosen_in_one_call(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill = Skill(monkeypatch)
    skill.rates = {
        str(n): {"sample": (1.0, 1.0, rate)} for n, rate in ((1, 0.3), (2, 0.9), (3, 0.5))
    }
    package_agents.main([str(agent(tmp_path, n)) for n in (1, 2, 3)])
    assert read_results(places[1]).specialists["1-1"].steps == 2
    told = [steps for steps, one in skill.measured if one.seed == 0]
    assert told == ["2"] * 3  # what loses is not measured on the episodes that are told


def test_what_is_known_is_not_measured_unless_with_more_episodes(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = places
    skill = Skill(monkeypatch)
    skill.rates = {"1": {"sample": (1.0, 1.0, 1.0)}}
    run = str(agent(tmp_path, 1))
    package_agents.main([run])
    assert len(skill.measured) == 9  # two policies, three conditions; then the better one
    (tmp_path / "measurements.jsonl").unlink()
    package_agents.main([run])
    assert len(skill.measured) == 9
    skill.rates = {"1": {"sample": (0.9, 0.9, 0.8)}}
    package_agents.main([run, "--episodes", "200"])
    assert read_results(file).specialists["1-1"].rates["sticky"] == result(0.8, 200)
    skill.rates = {"1": {"sample": (0.9, 0.9, 0.7)}}
    (packaged,) = folder.glob("*.safetensors")
    package_agents.main(["--again", str(packaged), "--episodes", "200"])
    assert read_results(file).specialists["1-1"].rates["sticky"] == result(0.7, 200)
    assert packaged.is_file()


def test_what_older_results_do_not_tell_is_measured(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill = Skill(monkeypatch)
    skill.rates = {"1": {"sample": (1.0, 1.0, 0.6)}}
    run = str(agent(tmp_path, 1))
    package_agents.main([run])
    (tmp_path / "measurements.jsonl").unlink()
    results = json.loads(places[1].read_text())
    ends = results["specialists"]["1-1"].pop("ends")
    assert ends == {"fixed": {}, "noops": {}, "sticky": {"pit, 512 px": 40}}
    places[1].write_text(json.dumps(results))
    package_agents.main([run])
    assert len(skill.measured) == 9 + 3
    assert read_results(places[1]).specialists["1-1"].ends == ends


def test_an_interruption_loses_no_measurement(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill = Skill(monkeypatch)
    skill.rates = {"1": {"sample": (1.0, 1.0, 1.0)}}
    measure, run = skill.measure, str(agent(tmp_path, 1))

    def interrupted(one: Measurement, folder: Path, rom: Path | None) -> Played:
        if len(skill.measured) == 4:
            raise KeyboardInterrupt
        return measure(one, folder, rom)

    monkeypatch.setattr(measuring, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        package_agents.main([run])
    assert not places[1].exists()
    with (tmp_path / "measurements.jsonl").open("a") as log:
        log.write('{"file": "cut sho')
    monkeypatch.setattr(measuring, "measure", measure)
    package_agents.main([run])
    assert len(skill.measured) == 9
    assert len({one for _, one in skill.measured}) == 9
    assert read_results(places[1]).specialists["1-1"].rates["noops"] == result(1.0)


def test_one_agent_for_several_levels_gives_way_level_by_level(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = places
    skill = Skill(monkeypatch)
    skill.rates = {"1": {"sample": (0.5, 0.5, 0.5)}, "2": {"sample": (0.6, 0.6, 0.6)}}
    package_agents.main([str(agent(tmp_path, 1, BOTH))])
    levels = read_results(file).specialists
    assert levels["1-1"].file == levels["1-2"].file
    assert levels["1-1"].file.startswith("2-levels-")
    assert levels["1-2"].trained_on == ["1-1", "1-2"]
    package_agents.main([str(agent(tmp_path, 2))])
    levels = read_results(file).specialists
    assert (levels["1-1"].steps, levels["1-2"].steps) == (2, 1)
    assert len(list(folder.glob("*.safetensors"))) == 2
    assert [path for path in tmp_path.glob("trained/*") if path.suffix == ""] == []


def test_a_network_for_all_levels_takes_the_place_of_specialists_that_are_not_better(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = places
    skill = Skill(monkeypatch)
    skill.rates = {
        "1": {"sample": (1.0, 0.9, 0.82)},
        "2": {"sample": (1.0, 0.9, 0.7)},
        "3": {"sample": (1.0, 0.9, 0.8), "argmax": (1.0, 0.1, 0.1)},
        "3 1-1": {"sample": (1.0, 0.9, 0.8), "argmax": (1.0, 1.0, 1.0)},
        "4": {"sample": (1.0, 0.5, 0.5)},
    }
    other = EnvConfig(levels="1-2", noop_max=30, no_progress_steps=12)
    package_agents.main([str(agent(tmp_path, 1)), str(agent(tmp_path, 2, other))])
    assert len(list(folder.glob("*.safetensors"))) == 2
    package_agents.main([str(agent(tmp_path, 3, TOLD)), str(agent(tmp_path, 4, UNTOLD))])
    results = read_results(file)
    told, untold = (results.networks[name] for name in NETWORKS)
    # One policy for all levels, though likeliest actions play 1-1 better.
    assert (told.steps, told.policy, list(told.levels)) == (3, "sample", list(LEVELS))
    assert (untold.steps, untold.trained_on) == (4, list(LEVELS))
    # 1-1's specialist is better by less than the margin.
    assert results.packaged == dict.fromkeys(LEVELS, "generalist")
    assert {path.name for path in folder.glob("*.safetensors")} == {told.file, untold.file}
    assert results.specialists["1-1"].steps == 1
    index = read_index(folder)
    assert {entry.file for entry in index.levels.values()} == {told.file}
    assert {name: entry.file for name, entry in index.networks.items()} == {
        "generalist": told.file,
        "generalist-untold": untold.file,
    }
    text = page(results)
    assert "| mean clear rate, no-ops | 90.0 % | 90.0 % | 50.0 % |" in text
    rows = {row.split()[1]: row for row in level_rows(text)}
    bad = "50 % (40–60)"
    assert rows["1-1"] == (
        "| 1-1 | overground | **100 % (96–100)** | **90 % (83–94)** | **80 % (71–87)** | **20.0** "
        f"| 100 % (96–100) | {bad} | {bad} | 20.0 "
        "| 100 % (96–100) | 90 % (83–94) | 82 % (73–88) | 20.0 | sample |"
    )
    assert "| 1-1 | 30 | 30 × pit, 512 px |" in text
    assert rows["8-4"].endswith("| – | – | – | – | – |")

    # Whole games of both, three kinds of each; the packaged agents are the one network.
    assert sorted(skill.games) == sorted([(1, 3, 0.0), (1, 1, 0.0), (1, 3, 0.25)] * 2)
    assert results.team is None
    assert told.games["one_life"].saved == 30
    assert told.games["three_lives"].ended == {"8-4": 40}
    row = (
        "| one network, told the level | 3 | 0 | 60 % (50–69) | 31.6 | 1.9 | 2.5 | 10.0 | 8-4: 40 |"
    )
    assert row in text
    assert (
        "warpzone eval generalist --game --lives 1 --episodes 100 --seed 0 --noop-max 30 --sticky 0"
        in text
    )

    # A specialist that is better by the margin comes into the package beside them.
    skill.rates["5"] = {"sample": (1.0, 0.95, 0.84)}
    package_agents.main([str(agent(tmp_path, 5))])
    results = read_results(file)
    assert results.packaged["1-1"] == "specialist"
    assert read_index(folder).levels["1-1"].file == results.specialists["1-1"].file
    assert len(list(folder.glob("*.safetensors"))) == 3
    # Only what is new is played: the game of the packaged agents, which are two now.
    assert sorted(skill.games[6:]) == [(2, 1, 0.0), (2, 3, 0.0), (2, 3, 0.25)]
    assert results.team is not None
    assert "| the packaged agents, each on its levels | 3 | 0.25 | 60 %" in page(results)
    package_agents.main([])
    assert len(skill.games) == 9
    assert read_results(file) == results
    (tmp_path / "results.json").unlink()  # after an interruption the log knows them
    package_agents.main([str(path) for path in folder.glob("*.safetensors")])
    assert len(skill.games) == 9
    # The same files with other actions are another team.
    known = read_results(file).team
    assert known is not None
    now: dict[str, tuple[str, PolicyMode]] = {
        level: (name, known.policies[level]) for level, name in known.files.items()
    }
    assert known.is_of(now)
    assert not known.is_of({**now, "1-2": (now["1-2"][0], "argmax")})
    # A worse network does not take the place of the better one.
    skill.rates["6"] = {"sample": (1.0, 0.8, 0.8)}
    package_agents.main([str(agent(tmp_path, 6, TOLD))])
    assert read_results(file).networks["generalist"].steps == 3
    # Unless it is asked for.
    package_agents.main(["--network", str(agent(tmp_path, 6, TOLD))])
    results = read_results(file)
    assert results.networks["generalist"].steps == 6
    assert results.networks["generalist-untold"].steps == 4
    assert {entry.file for entry in read_index(folder).networks.values()} >= {
        results.networks["generalist"].file
    }


def test_specialists_that_are_better_by_most_come_first_where_the_place_is_short(
    places: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, file = places
    skill = Skill(monkeypatch)
    skill.rates = {
        "1": {"sample": (1.0, 0.9, 0.8)},
        "2": {"sample": (1.0, 1.0, 0.9)},
        "3": {"sample": (1.0, 0.5, 0.5)},
    }
    other = EnvConfig(levels="1-2", noop_max=30, no_progress_steps=12)
    runs = [agent(tmp_path, 1), agent(tmp_path, 2, other), agent(tmp_path, 3, TOLD)]
    sizes = [(run / "best.safetensors").stat().st_size // 2 for run in runs]
    monkeypatch.setattr(package_agents, "MOST_BYTES", sum(sizes[1:]) + 10_000)
    package_agents.main([str(run) for run in runs])
    results = read_results(file)
    assert (results.packaged["1-1"], results.packaged["1-2"]) == ("generalist", "specialist")
    assert results.bytes == sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    assert "no place for it" in (text := capsys.readouterr().out)
    assert f"{results.bytes / 1e6:.1f} MB and 0.0 MB of other games, of at most" in text
    # Agents of other games take from the same room.
    (folder / "games").mkdir()
    (folder / "games" / "game.safetensors").write_bytes(bytes(11_000))
    package_agents.main([str(run) for run in runs])
    assert read_results(file).packaged["1-2"] == "generalist"


def test_an_agent_that_never_clears_is_not_packaged_and_runs_without_one_are_left_out(
    places: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    skill = Skill(monkeypatch)
    skill.rates = {"1": {"sample": (0.0, 0.0, 0.0)}, "2": {"argmax": (1.0, 0.1, 0.0)}}
    package_agents.main([str(agent(tmp_path, 1)), str(tmp_path / "none")])
    assert "not better" in (text := capsys.readouterr().out)
    assert "left out" in text
    assert list(read_results(places[1]).specialists) == []
    package_agents.main([str(agent(tmp_path, 2))])
    assert list(read_results(places[1]).specialists) == ["1-1"]


def test_too_much_for_the_package(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill = Skill(monkeypatch)
    skill.rates = {"1": {"sample": (1.0, 1.0, 1.0)}}
    monkeypatch.setattr(package_agents, "MOST_BYTES", 1000)
    with pytest.raises(AgentError, match=r"0\.001 MB is the most"):
        package_agents.main([str(agent(tmp_path, 1))])
    assert list(places[0].iterdir()) == []
    assert not places[1].exists()


def test_a_measurement_is_what_evaluate_finds(tmp_path: Path) -> None:
    write_agent(tmp_path / "a.safetensors", ENV)
    one = Measurement("a.safetensors", "1-1", "sticky", "sample", 2, 7)
    found = measurement.measure(one, tmp_path, None)
    expected = evaluate(
        Agent.load(tmp_path / "a.safetensors"), ["1-1"], episodes=2, noop_max=30,
        repeat_action_probability=0.25, policy="sample", seed=7,
    )  # fmt: skip
    assert found.result == expected.levels["1-1"]
    assert sum(found.ends.values()) == 2
    assert all(re.fullmatch(r"\w+, \d+ px", where) for where in found.ends)


def test_a_place_is_a_cause_and_a_screen() -> None:
    assert measurement.place(DEATHS.index("pit"), 700) == "pit, 512 px"
    assert measurement.place(0, 255) == "stuck, 0 px"


def test_agents_are_measured_at_once(
    places: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package_agents.main([str(agent(tmp_path, 1)), "--episodes", "1", "--jobs", "2"])
    assert "worst rate 0.0%, mean 0.0%; not better" in capsys.readouterr().out
    lines = (tmp_path / "measurements.jsonl").read_text().splitlines()
    kinds = {(line["policy"], line["condition"], line["seed"]) for line in map(json.loads, lines)}
    modes: tuple[PolicyMode, ...] = get_args(PolicyMode)
    assert kinds == {(mode, condition, 1) for mode in modes for condition in CONDITIONS}


def test_staged_agents_are_in_half_precision_and_named_by_content(tmp_path: Path) -> None:
    run = agent(tmp_path, 5)
    one = stage(run, tmp_path)
    assert one == stage(run / "best.safetensors", tmp_path)
    assert one != stage(agent(tmp_path, 6), tmp_path)
    tensors = safetensors.torch.load_file(tmp_path / one)
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
    text = page(results)
    assert "| with an agent | 2 |" in text
    assert "Files: 1, together 0.1 MB." in text
    assert "| cleared at all from a fixed start | 2 |" in text
    assert "| cleared in at least 95 % of episodes with no-ops | 0 |" in text
    assert "| cleared in at least 90 % of episodes with no-ops | 2 |" in text
    assert "sticky buttons | 0 |" in text
    rows = level_rows(text)
    assert [row.split()[1] for row in rows] == list(LEVELS)
    file = results.specialists["1-1"].file
    assert rows[0] == (
        "| 1-1 | overground | **100 % (96–100)** | **92 % (85–96)** | **79 % (70–86)** | **20.0** "
        "| sample |"
    )
    assert {row.count("|") for row in rows} == {8}
    assert f"| 1-1, 1-2 | sample | tiles | tiles | 0.00 | – | `{file}` | yes |" in text
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
        for more, name in (
            ("  # from step 7 on --set lr=0.2", "aaa"),
            (" --set lr=0.1 --set init=x.safetensors", None),
        )
    ]
    update = {
        "earlier": tuple(earlier), "seconds": 240.0, "threads": 1, "commit": "ccc",
        "command": "warpzone train 1-1 --set init=best.safetensors --seed 3",
    }  # fmt: skip
    save_agent(run / "best.safetensors", policy.state_dict(), info.model_copy(update=update))
    package_agents.main([str(run)])
    results = read_results(places[1])
    entry = results.specialists["1-1"]
    assert (entry.all_steps, entry.all_seconds) == (5_000_000, 360.0)
    assert "| 5.00 | 6.0 (1) |" in page(results)
    text = training_text_of(results, "# Trained\n")
    assert text.startswith("# Trained\n\n```sh\nwarpzone train")
    commands = [line for line in text.splitlines() if line.startswith("warpzone train")]
    assert commands == [
        "warpzone train 1-1 --out runs/1-1-1  # from step 7 on --set lr=0.2; aaa",
        "warpzone train 1-1 --set lr=0.1 --set init=runs/1-1-1 --out runs/1-1-2",
        "warpzone train 1-1 --set init=runs/1-1-2 --seed 3  # ccc",
    ]


def test_what_agents_have_in_common_is_told_once() -> None:
    results = read_results(write_results.DOCS / "results.json")
    assert "warpzone train" not in page(results)
    lines = training_text_of(results, "").partition("```sh\n")[2].partition("\n```")[0].splitlines()
    runs = [line.partition(" --out ")[2].split()[0] for line in lines if " --out " in line]
    assert len(set(runs)) == len(runs)
    assert len(set(lines)) == len(lines) > 30
    for line in lines:
        # Whoever begins with a run finds it above.
        for run in re.findall(r"init=(runs/\S+-\d+)(?=\s)", line):
            assert f" --out {run} " in f"{' '.join(lines[: lines.index(line)])} "
    files = {record.file for record in results.specialists.values()}
    files |= {network.file for network in results.networks.values()}
    assert {line.split()[1].rstrip(":") for line in lines if line[0] == "#"} == files


def test_the_page_without_any_agent() -> None:
    text = page(Results())
    assert "| with an agent | 0 |" in text


def test_the_page_in_the_repository_is_what_the_script_makes() -> None:
    docs, results = write_results.DOCS, read_results(write_results.DOCS / "results.json")
    assert (docs / "results.md").read_text(encoding="utf-8") == page(results)
    training = training_text_of(results, write_results.TRAINING)
    assert (docs / write_results.FRAME.training).read_text(encoding="utf-8") == training
