"""The benchmark of training on a GPU, run on the CPU; without a GPU it says so and runs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from benchmarks import gpu
from typer.testing import CliRunner

from warpzone.nes.rom import Rom
from warpzone.training.gpu_rollout import GpuPlayer

app = typer.Typer()
app.command()(gpu.main)
ROOT = Path(__file__).parents[1]


def test_updates_and_phases_are_measured(rom: Rom, tmp_path: Path) -> None:
    small = ["num_envs=4", "rollout_steps=16", "minibatch_size=32"]
    settings = [word for setting in small for word in ("--set", setting)]
    out = tmp_path / "gpu.json"
    options = ["--preset", "tiles", "--device", "cpu", "--seconds", "0.1", "--rom", str(rom.path)]
    done = CliRunner().invoke(app, [*options, *settings, "--out", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())["presets"]["tiles"]
    assert found["same"]
    assert found["steps_per_second"] > 0
    assert sum(found["shares"].values()) == pytest.approx(1)
    for phase in ("play", "infer", "store", "forward", "backward", "optimise"):
        assert found["shares"][phase] > 0, phase
    assert "plays the same" in " ".join(done.output.split())


def test_a_rollout_that_differs_is_a_failure(
    rom: Rom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = GpuPlayer.play

    def play(player: GpuPlayer, *arguments: object) -> None:
        original(player, *arguments)  # type: ignore[arg-type]
        player.rollout.rewards[0, 0] += 1

    monkeypatch.setattr(GpuPlayer, "play", play)
    small = ["--set", "num_envs=4", "--set", "rollout_steps=16", "--set", "minibatch_size=32"]
    options = ["--preset", "tiles", "--device", "cpu", "--seconds", "0.1", "--rom", str(rom.path)]
    done = CliRunner().invoke(app, [*options, *small, "--out", str(tmp_path / "gpu.json")])
    assert done.exit_code == 1
    assert "NOT the same" in " ".join(done.output.split())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_without_a_gpu_the_script_says_so() -> None:
    line = ["sh", str(ROOT / "scripts" / "try_gpu.sh"), sys.executable]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Nothing was run. device 'cuda': this machine has no CUDA device" in done.stderr
    assert done.stdout == ""
