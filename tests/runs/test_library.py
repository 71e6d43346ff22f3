"""Run directories as readers find them, good and bad."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

import pytest
from tests.support.run_directories import make_run, metrics_line

from warpzone.errors import RunError
from warpzone.runs import library as runs
from warpzone.runs.library import Library, Run
from warpzone.training.presets import PRESETS


@pytest.fixture(autouse=True)
def look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "SCAN_EVERY", 0.0)


def names(library: Library) -> list[str]:
    return [run.name for run in library.runs()]


def test_runs_and_those_of_campaigns_are_found(tmp_path: Path) -> None:
    make_run(tmp_path / "b")
    make_run(tmp_path / "camp" / "1-1")
    make_run(tmp_path / "camp" / "1-2")
    make_run(tmp_path / "too" / "deep" / "1-1")
    make_run(tmp_path / ".hidden")
    make_run(tmp_path / "b" / "checkpoints" / "no-run")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("not a run")
    library = Library(tmp_path)
    assert names(library) == ["b", "camp/1-1", "camp/1-2"]
    assert library.run("camp/1-2").path == tmp_path / "camp" / "1-2"


def test_a_run_directory_is_a_library_of_itself(tmp_path: Path) -> None:
    assert names(Library(make_run(tmp_path / "one"))) == ["one"]


def test_runs_come_and_go(tmp_path: Path) -> None:
    library = Library(tmp_path)
    assert library.runs() == []
    one = make_run(tmp_path / "one")
    run = library.run("one")
    make_run(tmp_path / "two")
    assert names(library) == ["one", "two"]
    assert library.run("one") is run  # what was read of it is kept
    shutil.rmtree(one)
    assert names(library) == ["two"]
    shutil.rmtree(tmp_path)
    assert library.runs() == []
    assert library.problem is not None
    assert str(tmp_path) in library.problem


@pytest.mark.parametrize("name", ["", "..", "../one", "/etc", "one/../one", "one/", "One", "\0"])
def test_a_name_that_is_not_found_is_told(tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "one")
    with pytest.raises(RunError, match=r"there is no run .*; there are one$"):
        Library(tmp_path).run(name)


def test_no_folder_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no such folder.*warpzone train 1-1"):
        Library(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="it is a file"):
        Library(tmp_path / "file")


def test_summary_of_a_finished_run(tmp_path: Path) -> None:
    path = make_run(tmp_path / "one", seed=3, level="2-1", measured=0.75)
    summary = Run(path, "one").summary()
    updated = summary.pop("updated")
    assert abs(updated - time.time()) < 60
    assert summary == {
        "name": "one",
        "state": "finished",
        "levels": ["2-1"],
        "preset": "tiles",
        "seed": 3,
        "step": 20_000,
        "total_steps": 100_000,
        "best": 0.75,
        "error": None,
        "problems": [],
    }


def test_summary_of_a_running_run_goes_with_its_metrics(tmp_path: Path) -> None:
    path = make_run(tmp_path / "one", state="running")
    run = Run(path, "one")
    assert run.summary()["step"] == 20_000
    with (path / "metrics.jsonl").open("a") as file:
        file.write(metrics_line(31_000) + '{"step": 31000, "eval/clear_rate": 0.5}\n')
    assert (run.summary()["step"], run.summary()["best"]) == (31_000, 0.5)


def test_a_run_that_has_just_begun_has_no_status(tmp_path: Path) -> None:
    path = make_run(tmp_path / "one")
    (path / "status.json").unlink()
    (path / "metrics.jsonl").unlink()
    summary = Run(path, "one").summary()
    assert (summary["state"], summary["step"], summary["problems"]) == ("starting", None, [])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_names_that_are_no_text_are_runs_as_well(tmp_path: Path) -> None:
    for name in (b"\xff", b"\\xff", b"camp\xe4/1-1"):
        make_run(tmp_path / os.fsdecode(name))
    library = Library(tmp_path)
    assert names(library) == ["\\xff", "\\xff'", "camp\\xe4/1-1"]
    for run in library.runs():
        json.dumps(run.summary()).encode()
        assert run.name.encode()
        assert library.run(run.name) is run
        assert run.summary()["state"] == "finished"


def test_what_nobody_thought_of_is_a_problem_of_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "good")
    make_run(tmp_path / "odd")
    library = Library(tmp_path)

    def fail() -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(library.run("odd")._config, "refresh", fail)
    good, odd = (run.summary() for run in library.runs())
    assert good["state"] == "finished"
    assert odd.keys() == good.keys()
    assert odd["state"] == "damaged"
    assert odd["problems"] == ["it cannot be read: ZeroDivisionError: by nothing"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("file", ["config.json", "status.json", "metrics.jsonl"])
def test_a_pipe_in_place_of_a_file_is_told(tmp_path: Path, file: str) -> None:
    path = make_run(tmp_path / "one", state="running")
    (path / file).unlink()
    os.mkfifo(path / file)
    (problem,) = Run(path, "one").summary()["problems"]
    assert problem == f"{file} cannot be read: it is a pipe, not a file"


def test_a_file_that_no_training_reaches_is_not_read(tmp_path: Path) -> None:
    path = make_run(tmp_path / "one", state="running")
    os.truncate(path / "metrics.jsonl", 1 << 40)
    (problem,) = Run(path, "one").summary()["problems"]
    assert "metrics.jsonl cannot be read: it has" in problem


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_of_every_preset_are_understood(tmp_path: Path, preset: str) -> None:
    config = PRESETS[preset]
    path = make_run(tmp_path / "one")
    (path / "config.json").write_text(config.model_dump_json())
    run = Run(path, "one")
    assert run.levels == list(config.env.levels)
    assert run.summary()["preset"] == preset
    assert run.config == json.loads(config.model_dump_json())


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("config.json", '{"preset": ', "config.json is damaged or half-written"),
        ("config.json", "[]", "config.json holds no JSON object"),
        ("config.json", "\x00\x01", "config.json is damaged"),
        ("config.json", "[" * 50_000, "config.json is damaged"),
        ("config.json", None, "there is no config.json"),
        ("status.json", "", "status.json is damaged or half-written"),
    ],
    ids=range(6),
)
def test_damaged_files_are_told_and_the_rest_is_shown(
    tmp_path: Path, file: str, text: str | None, told: str
) -> None:
    path = make_run(tmp_path / "one")
    (path / file).unlink()
    if text is not None:
        (path / file).write_text(text)
    run = Library(tmp_path).run("one")
    summary = run.summary()
    assert summary["state"] == "damaged"
    assert [told in problem for problem in summary["problems"]] == [True]
    assert len(run.metrics.updates) == 20
    make_run(tmp_path / "good")
    for name in ("config.json", "status.json"):
        shutil.copy(tmp_path / "good" / name, path / name)
    assert run.summary()["problems"] == []


@pytest.mark.parametrize(
    ("file", "value"),
    [
        ("config.json", {"env": None, "seed": "x", "preset": 3, "total_steps": float("nan")}),
        ("config.json", {"env": {"levels": 7}, "seed": 10**400, "preset": ["a"]}),
        ("status.json", {"state": 5, "step": [], "best_clear_rate": "high", "measured": [1]}),
        ("status.json", {"state": "finished", "measured": {"1-1": None, "1-2": {}}}),
    ],
)
def test_values_of_other_kinds_are_left_out(tmp_path: Path, file: str, value: object) -> None:
    path = make_run(tmp_path / "one")
    (path / file).write_text(json.dumps(value))
    run = Run(path, "one")
    json.dumps(run.summary(), allow_nan=False)
    assert run.measured in ({}, {"1-1": run.measured.get("1-1")})


def test_reading_writes_nothing(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "camp" / "1-1", state="running")

    def state() -> list[tuple[str, int]]:
        return sorted((str(p), p.stat().st_mtime_ns) for p in tmp_path.rglob("*"))

    before = state()
    for run in Library(tmp_path).runs():
        run.summary()
        assert len(run.metrics.updates) == 20
    assert state() == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_is_not_ours_is_passed_over(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    (tmp_path / "closed").mkdir(mode=0)
    assert names(Library(tmp_path)) == ["one"]


def test_readers_know_neither_the_learner_nor_the_game_nor_a_server() -> None:
    for file in Path(runs.__file__).parent.glob("*.py"):
        names = re.findall(r"^\s*(?:from|import) ([\w.]+)", file.read_text(), re.MULTILINE)
        assert not {name.partition(".")[0] for name in names} & {"torch", "starlette", "uvicorn"}
        ours = {".".join(n.split(".")[:2]) for n in names if n.startswith("warpzone")}
        assert ours <= {"warpzone.errors", "warpzone.files", "warpzone.runs"}, file.name
