"""`warpzone bench`: real measurements, only very short ones."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from warpzone.bench import run, workers
from warpzone.bench.report import Spread
from warpzone.bench.run import COMPILED, FCEUMM, INTERPRETED, PIXELS, TILES, Contestant
from warpzone.cli.app import app
from warpzone.errors import WarpzoneError
from warpzone.nes.rom import Rom


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SECONDS", 0.1)
    monkeypatch.setattr(run, "WARMUP_SECONDS", 0.0)
    monkeypatch.setattr(run, "RESTORES", 5)


def test_every_contestant_has_a_loop() -> None:
    assert {contestant.loop for contestant in run.contestants(2)} <= set(workers.LOOPS)


def test_only_what_can_be_imported_is_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    assert all(contestant.module is None for contestant in run.contestants(2))
    monkeypatch.setattr(run, "find_spec", lambda name: name == "stable_retro" or None)
    modules = {contestant.module for contestant in run.contestants(2)}
    assert modules == {None, "stable_retro"}


def test_one_core_is_not_compared_with_itself() -> None:
    assert all(contestant.threads == 1 for contestant in run.contestants(1))


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("loop", ["warpzone_frames", "warpzone_tiles", "warpzone_pixels"])
def test_rates(rom: Rom, loop: str) -> None:
    rates = run.measure(Contestant("it", loop, run.STEPS, games=8), rom)
    assert len(rates) == run.PARTS
    assert min(rates) > 0


def test_what_does_not_run_says_why(rom: Rom) -> None:
    with pytest.raises(WarpzoneError, match="no_such_loop"):
        run.measure(Contestant("it", "no_such_loop", run.STEPS), rom)


def test_ratios_are_taken_where_both_were_measured() -> None:
    def rate(value: float) -> Spread:
        return Spread.of([value / 2, value, value * 2])

    rates = {COMPILED: rate(900), INTERPRETED: rate(90), TILES: rate(5), "other": rate(1)}
    assert run.ratios(rates, 2) == {f"{COMPILED} ÷ {INTERPRETED}": 10.0}
    rates |= {FCEUMM: rate(9), run.on_threads(TILES, 2): rate(10)}
    assert run.ratios(rates, 2) == {
        f"{COMPILED} ÷ {INTERPRETED}": 10.0,
        f"{COMPILED} ÷ {FCEUMM}": 100.0,
        f"{INTERPRETED} ÷ {FCEUMM}": 10.0,
        f"{run.on_threads(TILES, 2)} ÷ {TILES}": 2.0,
    }


@pytest.mark.usefixtures("short")
def test_command(rom: Rom, monkeypatch: pytest.MonkeyPatch) -> None:
    few = [
        Contestant(INTERPRETED, "warpzone_frames_interpreted", run.FRAMES, 8),
        Contestant(PIXELS, "no_such_loop", run.STEPS),
    ]
    monkeypatch.setattr(run, "contestants", lambda threads: few)
    arguments = ["bench", "--rom", str(rom.path)]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["rates"][INTERPRETED]["median"] > 0
    assert result["rates"][INTERPRETED]["unit"] == run.FRAMES
    assert "no_such_loop" in result["problems"][PIXELS]
    assert result["engine"].split(":")[0] in ("compiled", "interpreter")
    assert set(result["seconds"]) == {"console start with a level", "restore of a snapshot"}
    assert result["rom"]["sha1"] == rom.sha1
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 0
    assert "games run" in table.output
    assert "no_such_loop" in " ".join(table.output.split())
