"""Everything a user does, one after the other, with the command line: tiny, but all of it real."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import pygame
import pytest
from PIL import Image, ImageSequence
from typer.testing import CliRunner, Result

from warpzone.agents.agent import Agent
from warpzone.cli.app import app
from warpzone.cli.options import EXIT_ERROR
from warpzone.nes.cartridge import open_rom
from warpzone.viewers.window import Window

TINY = shlex.split(
    "--num-envs 4 --threads 1 --device cpu --set rollout_steps=16 --set minibatch_size=32"
    " --set network.hidden=[16] --set eval_episodes=2 --set env.no_progress_steps=8"
)


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained, and then trained on."""
    path = tmp_path_factory.mktemp("runs") / "first"
    output = run("train", "1-1", "--out", path, "--steps", "128", *TINY).output
    assert f"warpzone watch {path}" in output
    assert json.loads((path / "status.json").read_text())["step"] == 128
    run("train", "--resume", "--out", path, "--steps", "256")
    return path


def test_the_run_went_on_from_where_it_was(trained: Path) -> None:
    status = json.loads((trained / "status.json").read_text())
    assert (status["state"], status["step"]) == ("finished", 256)
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "losses/entropy" in line]
    assert steps == [64, 128, 192, 256]
    assert json.loads((trained / "config.json").read_text())["network"]["hidden"] == [16]
    assert Agent.load(trained / "agent.safetensors").info.steps == 256
    assert list(trained.glob("events.out.tfevents.*"))
    assert list((trained / "checkpoints").iterdir())


def test_training_again_into_the_same_place_is_refused(trained: Path) -> None:
    before = (trained / "agent.safetensors").read_bytes()
    result = CliRunner().invoke(app, ["train", "1-1", "--out", str(trained), *TINY])
    assert result.exit_code == EXIT_ERROR
    assert "--resume" in result.output
    assert (trained / "agent.safetensors").read_bytes() == before


def test_going_on_with_other_settings_is_refused(trained: Path) -> None:
    arguments = ["train", "1-1", "--resume", "--out", str(trained), "--set", "gamma=0.5"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == EXIT_ERROR
    assert "gamma" in result.output
    assert "0.97" in result.output


def test_eval_as_json(trained: Path) -> None:
    output = run("eval", trained, "--levels", "1-1,2-2", "--episodes", "3", "--json").stdout
    report = json.loads(output)
    assert set(report) == {"levels", "protocol", "rom"}
    assert list(report["levels"]) == ["1-1", "2-2"]
    for result in report["levels"].values():
        assert set(result) == {"clear_rate", "episodes", "ci95", "mean_progress", "mean_frames"}
        assert result["episodes"] == 3
        assert 0 <= result["ci95"][0] <= result["clear_rate"] <= result["ci95"][1] <= 1
    assert report["protocol"]["noop_max"] == 30
    assert report["protocol"]["no_progress_steps"] == 8
    assert report["rom"]["sha1"] == open_rom().sha1


def test_eval_for_people(trained: Path) -> None:
    output = run("eval", trained, "--episodes", "2", "--repeat-action-probability", "0.25").output
    assert "95 % interval" in output
    assert "sticky 0.25" in output
    assert open_rom().revision in output
    assert "2-2" not in output


def test_record_films(trained: Path, tmp_path: Path) -> None:
    mp4, gif = tmp_path / "clip.mp4", tmp_path / "clip.gif"
    output = run("record", trained, "-o", mp4, "--until-clear", "2", "--scale", "1").output
    assert "try 1:" in output
    reader = imageio_ffmpeg.read_frames(str(mp4))
    assert next(reader)["size"] == (256, 240)
    assert sum(1 for _ in reader) > 100
    run("record", trained, "1-4", "-o", gif, "--until-clear", "1", "--policy", "argmax")
    with Image.open(gif) as film:
        assert sum(1 for _ in ImageSequence.Iterator(film)) > 10


def test_record_shows_agents_side_by_side(trained: Path, tmp_path: Path) -> None:
    film = tmp_path / "progress.mp4"
    output = run("record", trained, "--progress", "-o", film, "--scale", "1").output
    shown = [line.split(":")[0] for line in output.splitlines() if " steps:" in line]
    assert shown == [f"{steps} steps" for steps in (0, 64, 128, 192, 256)]
    assert next(imageio_ffmpeg.read_frames(str(film)))["size"] == (768, 512)
    run("record", trained, trained / "agent.safetensors", "1-2", "-o", film, "--scale", "1")
    assert next(imageio_ffmpeg.read_frames(str(film)))["size"] == (512, 256)


@pytest.fixture
def closed_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A screen on which the user closes every window after its first picture."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(Window, "events", lambda window: [pygame.event.Event(pygame.QUIT)])
    yield
    pygame.quit()


@pytest.mark.usefixtures("closed_at_once")
def test_windows_open_and_close(trained: Path, tmp_path: Path) -> None:
    assert "0 of 0 episodes cleared" in run("watch", trained, "1-2").output
    assert run("play", "8-4", "--scale", "1").output == ""
    path = tmp_path / "run"
    output = run("train", "1-1", "--out", path, "--steps", "64", "--watch", *TINY).output
    assert "0 of 0 episodes cleared" in output
    assert not list(path.glob("*.mp4"))


def test_train_and_watch_without_a_screen_makes_a_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    path = tmp_path / "run"
    output = run("train", "1-3", "--out", path, "--steps", "64", "--watch", *TINY).output
    assert "no screen" in output
    assert (path / "1-3.mp4").is_file()
    assert str(path / "1-3.mp4") in output.replace("\n", "")
