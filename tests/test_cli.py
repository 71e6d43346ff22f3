"""The command line: help, messages, exit codes; what commands do is tested where it is done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from warpzone import cli
from warpzone.episodes.episode import Person, Recorder
from warpzone.nes.console import Console
from warpzone.smb.level_guide import GUIDE
from warpzone.smb.levels import LEVELS

COMMANDS = (
    "train", "campaign", "dashboard", "watch", "record", "replay", "report", "map", "eval", "play",
    "levels", "bench", "doctor", "rom",
)  # fmt: skip


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def plain(text: str) -> str:
    """Without colours and line breaks, which depend on the terminal."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def error_of(*arguments: str | Path) -> str:
    """The message of a command that a user got wrong; it must not be a traceback."""
    result = run(*arguments)
    assert result.exit_code == cli.EXIT_ERROR, result.output
    assert "Traceback" not in result.output
    return plain(result.output)


def test_help_lists_every_command_and_where_to_start() -> None:
    text = plain(run("--help").output)
    assert all(name in text for name in COMMANDS)
    assert "warpzone train 1-1 --watch" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"Example: warpzone {name}" in plain(result.output)


def test_version() -> None:
    from importlib.metadata import version

    assert plain(run("--version").output) == f"warpzone {version('warpzone')}"


def test_python_dash_m() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "warpzone", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("warpzone ")


@pytest.mark.parametrize("arguments", [["--help"], ["levels"], ["rom", "--rom", "missing.nes"]])
def test_quick_commands_do_not_load_torch_or_pygame(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom warpzone.cli import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print('loaded:', sorted({'torch', 'pygame', 'tensorboard'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "loaded: []"


def test_levels_lists_all_32() -> None:
    rows = {line.split()[0]: line for line in run("levels").stdout.splitlines()[1:]}
    assert list(rows) == list(LEVELS) == list(GUIDE)
    assert "water" in rows["2-2"]
    assert json.loads(run("levels", "--json").stdout)["8-4"]["kind"] == "castle maze"


def test_rom_of_a_missing_file() -> None:
    assert "missing.nes" in error_of("rom", "--rom", "missing.nes")


def test_record_with_an_unknown_suffix(tmp_path: Path) -> None:
    text = error_of("record", tmp_path, "-o", tmp_path / "clip.webm")
    assert "must end in .mp4 or .gif" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["all", "--overlay"], "film of one agent"),
        (["1-1", "1-2", "1-3", "--episodes", "2"], "film of one agent"),
        (["1-1", "runs/x.safetensors", "--progress"], "--progress shows one run"),
        (["all", "--progress"], "--progress shows one run"),
        (["all", "1-1"], "each agent on its own level"),
        (["nowhere", "--progress"], "holds no run"),
        (["1-1", "9-9"], "9-9"),
        (["1-1", "1-1,1-2"], "names 2 levels"),
        (["1-1", "runs/nowhere", "1-1"], "nowhere"),
    ],
)
def test_films_of_several_agents_that_cannot_be(
    arguments: list[str], text: str, tmp_path: Path
) -> None:
    assert text in error_of("record", *arguments, "-o", tmp_path / "clip.mp4")
    assert not list(tmp_path.iterdir())


def test_the_last_of_several_arguments_may_be_the_level(tmp_path: Path) -> None:
    def split(*arguments: str) -> tuple[list[str], str | None]:
        paths, level = cli._agents_and_level([Path(argument) for argument in arguments])
        return [str(path) for path in paths], level

    run = str(tmp_path)
    assert split("1-1") == (["1-1"], None)
    assert split("1-1", "1-2") == (["1-1"], "1-2")
    assert split(run, "1-2") == ([run], "1-2")
    assert split(run, run) == ([run, run], None)
    assert split("1-1", run, "1-2") == (["1-1", run], "1-2")
    assert split("a.safetensors", "b.safetensors") == (["a.safetensors", "b.safetensors"], None)


def test_watch_without_screen_points_to_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    text = error_of("watch", "1-1")
    assert "warpzone record 1-1 -o clip.mp4" in text
    assert "warpzone watch 1-1 --terminal" in text
    assert "no screen" in error_of("play", "1-1")
    game = tmp_path / "game.json"
    recorder = Recorder(Console())
    recorder.begin("1-1")
    recorder.step(128)
    recorder.episode(Person()).save(game)
    assert f"warpzone replay {game} -o clip.mp4" in error_of("replay", game)
    # What another screen would not mend is told first.
    game.write_text("{")
    assert "cut short or damaged" in error_of("replay", game)
    assert "there is no episode" in error_of("replay", tmp_path / "none.json")
    for screen in ((), ("--terminal",)):
        assert "is not a run: it holds neither" in error_of("watch", tmp_path, *screen)
    assert "no level '9-9'" in error_of("play", "9-9")


def test_an_agents_episode_is_recorded_and_played_again(tmp_path: Path) -> None:
    film, game, sheet = (tmp_path / name for name in ("clip.gif", "game.json", "sheet.png"))
    told = run("record", "1-1", "-o", film, "--episode", game, "--seed", "3", "--until-clear", "1")
    assert told.exit_code == 0, told.output
    assert film.is_file()
    assert "game.json from 1-1" in plain(told.output)
    checked = run("replay", game, "--check")
    assert checked.exit_code == 0, checked.output
    assert "seed 3)" in plain(checked.output)
    assert "RAM after the last frame: as recorded" in plain(checked.output)
    made = run("replay", game, "-o", sheet, "--pictures", "6")
    assert made.exit_code == 0, made.output
    assert sheet.is_file()
    assert "begins at level 1-1" in error_of("replay", game, "-o", tmp_path / "movie.fm2")

    values = json.loads(game.read_text())
    game.write_text(json.dumps({**values, "ram_sha256": "0" * 64}))
    assert "another way" in error_of("replay", game, "--check")
    game.write_text(json.dumps(values)[:-20])
    assert "cut short" in error_of("replay", game, "--check")


def test_a_bad_name_for_an_episode_is_told_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    missing = tmp_path / "none" / "game.json"
    assert "no folder" in error_of("record", "1-1", "-o", tmp_path / "a.gif", "--episode", missing)
    assert "must end in .json" in error_of("record", "1-1", "--episode", "3")
    several = error_of("record", "1-1", "--episode", "game.json", "--episodes", "2")
    assert "writes one episode" in several
    assert "no folder" in error_of("play", "1-1", "--record", missing)
    assert "there is no episode" in error_of("replay", missing)


@pytest.mark.parametrize("end", [KeyboardInterrupt, None])
def test_a_persons_game_is_recorded_and_becomes_a_movie(
    end: type[BaseException] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warpzone.viewers import play

    def play_a_little(console: object, order: list[str], *, recorder: Any, scale: int) -> None:
        recorder.begin(order[0])
        for frame in range(120):
            recorder.step(8 if frame == 60 else 0)
        if end is not None:
            raise end

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(play, "play", play_a_little)
    game, movie, again = (tmp_path / name for name in ("game.json", "movie.fm2", "again.json"))
    told = run("play", "--power-on", "--record", game)
    assert told.exit_code == (cli.EXIT_INTERRUPTED if end else 0)
    assert "game.json from power-on, 120 frames" in plain(told.output)
    assert run("replay", game, "-o", movie).exit_code == 0
    assert run("replay", movie, "-o", again).exit_code == 0
    first, second = (json.loads(path.read_text()) for path in (game, again))
    assert second["player"]["kind"] == "movie"
    assert {**first, "player": None} == {**second, "player": None}


def test_watch_in_what_is_no_terminal() -> None:
    assert "the output is not a terminal" in error_of("watch", "1-1", "--terminal")


def test_train_into_a_used_directory(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    text = error_of("train", "1-1", "--out", tmp_path)
    assert "--resume" in text
    assert "another --out" in text
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_train_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    assert "it is a file" in error_of("train", "1-1", "--out", tmp_path / "run")


def test_resume_of_nothing(tmp_path: Path) -> None:
    text = error_of("train", "1-1", "--resume", "--out", tmp_path / "run")
    assert "leave out --resume" in text


@pytest.mark.parametrize("level", ["1-5", "9-1", "0-1", "one", "1-1,1-9", ""])
def test_unknown_level(level: str, tmp_path: Path) -> None:
    text = error_of("train", level, "--out", tmp_path / "run")
    assert "1-1" in text
    assert "8-4" in text


def test_unknown_setting(tmp_path: Path) -> None:
    out = tmp_path / "run"
    text = error_of("train", "1-1", "--out", out, "--set", "gama=0.9")
    assert "Did you mean gamma?" in text
    assert not out.exists()


def test_setting_out_of_range(tmp_path: Path) -> None:
    out = tmp_path / "run"
    text = error_of("train", "1-1", "--out", out, "--set", "gamma=1.5")
    assert "gamma" in text
    assert "1.5" in text
    assert not out.exists()


@pytest.mark.parametrize("command", ["record", "eval"])
def test_missing_agent(command: str, tmp_path: Path) -> None:
    text = error_of(command, tmp_path / "nowhere")
    assert "nowhere" in text
    assert "warpzone train" in text


def test_default_run_directory() -> None:
    assert cli._run_name({"1-1": 1.0}) == "1-1"
    assert cli._run_name({"1-1": 1.0, "1-2": 2.0}) == "1-1+1-2"
    assert cli._run_name(dict.fromkeys(LEVELS[:7], 1.0)) == "7-levels"
    assert cli._run_name(dict.fromkeys(LEVELS, 1.0)) == "all"


def test_interrupt_has_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_find_rom", interrupt)
    result = run("rom")
    assert result.exit_code == 130
    assert plain(result.output) == "interrupted"


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "_find_rom", fault)
    assert isinstance(run("rom").exception, ZeroDivisionError)


def test_output_into_a_closed_pipe_is_no_traceback() -> None:
    process = subprocess.run(
        f"{sys.executable} -m warpzone levels | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert "level" in process.stdout
    assert "Traceback" not in process.stderr


def test_doctor_finds_a_healthy_machine() -> None:
    result = run("doctor", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["ok"]) == (0, True)
    findings = {finding["name"]: finding for finding in report["findings"]}
    assert findings["self-test"]["ok"]
    assert "Mario walked" in findings["self-test"]["text"]
    assert "torch" in findings["libraries"]["text"]
    assert {"engine", "device", "ROM", "window", "films"} <= set(findings)


def test_doctor_says_what_is_wrong(tmp_path: Path) -> None:
    result = run("doctor", "--rom", tmp_path / "missing.nes")
    assert result.exit_code == 1
    text = plain(result.output)
    assert "bad ROM" in text
    assert "missing.nes" in text
    assert "self-test" not in text


def test_doctor_survives_what_it_examines(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(rom: object) -> None:
        raise OSError("the disk is on fire")

    monkeypatch.setattr("warpzone.doctor._rom", broken)
    result = run("doctor")
    assert result.exit_code == 1
    assert "OSError: the disk is on fire" in plain(result.output)


def test_a_row_of_levels_needs_one_agent_and_one_first_level() -> None:
    assert "--through needs an agent" in error_of("eval", "--through", "1-2")
    several = error_of("eval", "1-1", "--levels", "1-1,1-2", "--through", "1-3")
    assert "names 2 levels" in several


def test_a_row_of_levels() -> None:
    told = run("eval", "4-1", "--through", "4-2", "--episodes", "3", "--json")
    assert set(json.loads(told.stdout)["reached"]) == {"4-1", "4-2"}
    shown = run("eval", "4-1", "--through", "4-2", "--episodes", "3")
    assert "4-1 to 4-2 with one life: 0.0% of 3 episodes" in shown.stdout
